//! A slot for a value that is shared by the connections of one configuration and its clones.

use std::any::Any;
use std::sync::{Arc, OnceLock};

/// Holds one value of any type. The configuration does not need to know the type.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<OnceLock<Box<dyn Any + Send + Sync>>>);

/// Slots are always equal: shared state does not make configurations differ.
impl PartialEq for Slot {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Slot {
    /// Returns the stored value, or makes a new one and stores it.
    pub(crate) fn get_or_try_init<T, E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<T, E>
    where
        T: Any + Clone + Send + Sync,
    {
        let found = |value: &Box<dyn Any + Send + Sync>| (**value).downcast_ref().cloned();
        if let Some(value) = self.0.get().and_then(found) {
            return Ok(value);
        }
        let made = make()?;
        // Another thread may have been faster.
        let kept = self.0.get_or_init(|| Box::new(made.clone()));
        Ok(found(kept).unwrap_or(made))
    }
}
