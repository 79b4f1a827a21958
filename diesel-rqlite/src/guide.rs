//! The guide: a page for each subject. The modules hold no items.
//!
//! * [Transactions](transactions): what they guarantee, what they cost, locks, lost answers.
//! * [Steering queries](steering): options of one query or closure, queued writes, EXPLAIN.
//! * [Clusters](clusters): URLs, load balancers, Kubernetes, TLS, users, timeouts, and what each fault costs.
//! * [Web frameworks](frameworks): a service on axum, actix-web and Rocket.
//! * [Operating](operating): statistics, metrics, spans, slow queries.
//! * [Performance](performance): measurements, coalesced writes, long answers.
//! * [Porting from SQLite](porting): moves an application with its data.
//! * [SQLite's dialect](dialect): each feature of Diesel's SQLite backend, and whether it works here.
//! * [The command line tool](command_line): compared with `diesel`, command by command.
//! * [Platforms](platforms): operating systems, Rust versions, WebAssembly.

/// The targets of the links between pages. For readers of the repository, the pages define them again, as files. If a
/// link has two definitions, Markdown uses the first.
macro_rules! links {
    () => {
        "[cluster-api]: crate::guide::clusters#from-a-program
[clusters]: crate::guide::clusters
[command-line]: crate::guide::command_line
[errors]: crate::guide::transactions#what-happened-to-my-write
[framework-pool]: crate::guide::frameworks#the-pool
[frameworks]: crate::guide::frameworks
[pages]: crate::Pages
[performance]: crate::guide::performance
[platforms]: crate::guide::platforms
[steering]: crate::guide::steering
[transactions]: crate::guide::transactions
"
    };
}

#[doc = links!()]
#[doc = include_str!("../docs/transactions.md")]
pub mod transactions {}

#[doc = links!()]
#[doc = include_str!("../docs/steering.md")]
pub mod steering {}

#[doc = links!()]
#[doc = include_str!("../docs/clusters.md")]
pub mod clusters {}

#[doc = links!()]
#[doc = include_str!("../docs/frameworks.md")]
pub mod frameworks {}

#[doc = links!()]
#[doc = include_str!("../docs/operating.md")]
pub mod operating {}

#[doc = links!()]
#[doc = include_str!("../docs/performance.md")]
pub mod performance {}

#[doc = links!()]
#[doc = include_str!("../docs/porting-from-sqlite.md")]
pub mod porting {}

#[doc = links!()]
#[doc = include_str!("../docs/sqlite-dialect.md")]
pub mod dialect {}

#[doc = links!()]
#[doc = include_str!("../docs/command-line.md")]
pub mod command_line {}

#[doc = links!()]
#[doc = include_str!("../docs/platforms.md")]
pub mod platforms {}
