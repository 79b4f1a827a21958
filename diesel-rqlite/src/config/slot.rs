//! A place for what connections share that are made from clones of one configuration.

use std::any::Any;
use std::sync::{Arc, OnceLock};

/// Holds one value, of a type that is no concern of the configuration.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<OnceLock<Box<dyn Any + Send + Sync>>>);

/// What is shared makes no configuration another one.
impl PartialEq for Slot {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Slot {
    /// The value that is there, or a new one, which is there from now on.
    pub(crate) fn get_or_try_init<T, E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<T, E>
    where
        T: Any + Clone + Send + Sync,
    {
        let found = |value: &Box<dyn Any + Send + Sync>| (**value).downcast_ref().cloned();
        if let Some(value) = self.0.get().and_then(found) {
            return Ok(value);
        }
        let made = make()?;
        // Another one may have been faster.
        let kept = self.0.get_or_init(|| Box::new(made.clone()));
        Ok(found(kept).unwrap_or(made))
    }
}
