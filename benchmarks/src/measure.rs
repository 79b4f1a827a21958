//! Rounds of a task, client by client in turn, and the table of their medians.

use std::fmt;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;

use crate::clients::Client;
use crate::task::Task;

#[derive(Default)]
pub struct Table {
    lines: Vec<Line>,
}

struct Line {
    task: String,
    client: String,
    wall: f64,
    cpu: f64,
}

impl Table {
    /// The clients take turns, so that what else the machine does meets all of them.
    pub fn measure(&mut self, task: &Task, clients: &mut [Box<dyn Client>]) {
        let mut times = vec![Vec::new(); clients.len()];
        // The first round warms up.
        for round in 0..=task.rounds {
            for (client, times) in clients.iter_mut().zip(&mut times) {
                let (wall, cpu) = (Instant::now(), ProcessTime::now());
                if !client.run(task) {
                    continue;
                }
                if round > 0 {
                    times.push((wall.elapsed(), cpu.elapsed()));
                }
            }
        }
        for (client, times) in clients.iter().zip(times) {
            if times.is_empty() {
                continue;
            }
            let of = |part: fn(&(Duration, Duration)) -> Duration| {
                let mut all: Vec<_> = times.iter().map(part).collect();
                all.sort_unstable();
                let middle = all[all.len() / 2].as_secs_f64() * 1e6;
                middle / (task.operations * task.kind.rows()) as f64
            };
            self.lines.push(Line {
                task: task.to_string(),
                client: client.name(),
                wall: of(|times| times.0),
                cpu: of(|times| times.1),
            });
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "| task | client | wall, µs | bare ÷ it | CPU, µs |"
        )?;
        writeln!(formatter, "|---|---|---|---|---|")?;
        let mut bare = None;
        for line in &self.lines {
            if line.client == "bare HTTP" {
                bare = Some((&line.task, line.wall));
            }
            let bare = bare.filter(|(task, _)| **task == line.task);
            let ratio = bare.map(|(_, wall)| format!("{:.2}", wall / line.wall));
            writeln!(
                formatter,
                "| {} | {} | {:.2} | {} | {:.2} |",
                line.task,
                line.client,
                line.wall,
                ratio.unwrap_or_default(),
                line.cpu
            )?;
        }
        Ok(())
    }
}
