//! What `tracing` and `metrics` are told while something runs, by this thread.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};

use metrics_util::MetricKind;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// A span or an event, with the values of its fields as text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) name: String,
    /// The names of the spans around it, the innermost first.
    pub(crate) around: Vec<String>,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) is_closed: bool,
    id: Option<Id>,
}

impl Told {
    /// A field; empty, if it was not told.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// Whether it has these values.
    pub(crate) fn assert(&self, fields: &[(&str, &str)]) {
        for (name, wanted) in fields {
            assert_eq!(self.field(name), *wanted, "{name} of {self:#?}");
        }
    }
}

#[derive(Default)]
struct Log {
    told: Mutex<Vec<Told>>,
    changed: Condvar,
}

/// While there is a single subscriber, `tracing` asks that of the current thread who wants to hear of a span that is met
/// for the first time: in another thread, nobody does, and then nobody ever hears of it.
static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Registry::default()));

/// What was told so far.
#[derive(Clone, Default)]
pub(crate) struct Traces(Arc<Log>);

impl Traces {
    fn told(&self) -> MutexGuard<'_, Vec<Told>> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything, and forgets it.
    pub(crate) fn take(&self) -> Vec<Told> {
        std::mem::take(&mut self.told())
    }

    /// Everything.
    pub(crate) fn everything(&self) -> Vec<Told> {
        self.told().clone()
    }

    /// All spans and events of a name.
    pub(crate) fn all(&self, name: &str) -> Vec<Told> {
        let told = self.told();
        let named = told.iter().filter(|told| told.name == name);
        named.cloned().collect()
    }

    /// The only span or event of a name.
    pub(crate) fn one(&self, name: &str) -> Told {
        let mut all = self.all(name);
        assert_eq!(all.len(), 1, "{name} in {:#?}", self.told());
        all.remove(0)
    }

    /// Waits until a span of this name has begun.
    pub(crate) fn wait_for(&self, name: &str) {
        let mut told = self.told();
        while !told.iter().any(|told| told.name == name) {
            let changed = self.0.changed.wait(told);
            told = changed.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Runs something that tells what it does here.
    pub(crate) fn of<T>(&self, run: impl FnOnce() -> T) -> T {
        LazyLock::force(&ANOTHER);
        let subscriber = Registry::default().with(self.clone());
        tracing::subscriber::with_default(subscriber, run)
    }

    fn add(&self, told: Told) {
        self.told().push(told);
        self.0.changed.notify_all();
    }

    fn change(&self, id: &Id, change: impl FnOnce(&mut Told)) {
        let mut told = self.told();
        let mut ours = told.iter_mut().rev();
        if let Some(told) = ours.find(|told| told.id.as_ref() == Some(id) && !told.is_closed) {
            change(told);
        }
    }
}

struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Traces {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut told = Told {
            name: attributes.metadata().name().to_owned(),
            id: Some(id.clone()),
            ..Told::default()
        };
        let scope = context.span_scope(id).into_iter().flatten().skip(1);
        told.around = scope.map(|span| span.name().to_owned()).collect();
        attributes.record(&mut Fields(&mut told.fields));
        self.add(told);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _context: Context<'_, S>) {
        self.change(id, |told| values.record(&mut Fields(&mut told.fields)));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut told = Told::default();
        event.record(&mut Fields(&mut told.fields));
        told.name = told.field("message").to_owned();
        let scope = context.event_scope(event).into_iter().flatten();
        told.around = scope.map(|span| span.name().to_owned()).collect();
        self.add(told);
    }

    fn on_close(&self, id: Id, _context: Context<'_, S>) {
        self.change(&id, |told| told.is_closed = true);
    }
}

/// What a recorder of metrics was told.
pub(crate) struct Metrics(BTreeMap<String, Vec<f64>>);

impl Metrics {
    /// Runs something that tells this recorder what it does.
    pub(crate) fn of<T>(run: impl FnOnce() -> T) -> (T, Self) {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let value = metrics::with_local_recorder(&recorder, run);
        (value, Metrics(read(&snapshotter)))
    }

    /// A counter, by its name and labels: `name{label=value}`.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let values = self.0.get(name).map(Vec::as_slice);
        match values {
            None => 0,
            Some([value]) => format!("{value}").parse().expect("a whole number"),
            Some(values) => panic!("{name} is no counter: {values:?}"),
        }
    }

    /// How many values a histogram has, by its name and labels.
    pub(crate) fn values(&self, name: &str) -> usize {
        self.0.get(name).map_or(0, Vec::len)
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

fn read(snapshotter: &Snapshotter) -> BTreeMap<String, Vec<f64>> {
    let mut all = BTreeMap::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let (kind, key) = key.into_parts();
        let labels: Vec<_> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        let name = match labels.is_empty() {
            true => key.name().to_owned(),
            false => format!("{}{{{}}}", key.name(), labels.join(",")),
        };
        assert!(kind != MetricKind::Gauge, "{name}");
        let values = match value {
            DebugValue::Counter(value) => vec![value.to_string().parse().expect("a number")],
            DebugValue::Gauge(value) => vec![value.into_inner()],
            DebugValue::Histogram(values) => {
                values.into_iter().map(|value| value.into_inner()).collect()
            }
        };
        all.insert(name, values);
    }
    all
}
