//! The embedding's table in the host's memory, which the replicas of a model read together.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use candle_core::{DType, Tensor};

use crate::device::DeviceHandle;
use crate::weights::Loaded;

/// Where a table stays in the host's memory.
#[derive(Debug, Clone)]
pub(super) struct Host {
    pub(super) device: DeviceHandle,
    pub(super) tables: HostTables,
}

/// Tables that somebody reads, by their dtype.
type Known = Vec<(DType, Weak<Tensor>)>;

/// Tables of one checkpoint, one for each dtype that somebody reads it in. Whoever loads several models of it hands
/// the same to each. A table lasts as long as a model that reads it.
#[derive(Debug, Clone, Default)]
pub struct HostTables(Arc<Mutex<Known>>);

impl HostTables {
    /// The table in `dtype`: the one that another model reads, else what `load` gives. Who asks meanwhile waits, and
    /// no second one is made.
    pub(super) fn table(
        &self,
        dtype: DType,
        load: impl FnOnce() -> Loaded<Tensor>,
    ) -> Loaded<Arc<Tensor>> {
        // A list of handles: nothing in it can be half done.
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tables.retain(|(_, table)| table.strong_count() > 0);
        let known = tables.iter().find(|(known, _)| *known == dtype);
        if let Some(table) = known.and_then(|(_, table)| table.upgrade()) {
            return Ok(table);
        }
        let table = Arc::new(load()?);
        tables.push((dtype, Arc::downgrade(&table)));
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn table() -> Tensor {
        Tensor::zeros((2, 2), DType::F32, &Device::Cpu).unwrap()
    }

    #[test]
    fn a_table_lasts_as_long_as_somebody_reads_it() {
        let tables = HostTables::default();
        let first = tables.table(DType::F32, || Ok(table())).unwrap();
        let again = tables.clone().table(DType::F32, || panic!("it is there")).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        let other = tables.table(DType::F16, || Ok(table())).unwrap();
        assert!(!Arc::ptr_eq(&first, &other));
        drop((first, again));
        let mut loaded = false;
        let anew = tables.table(DType::F32, || {
            loaded = true;
            Ok(table())
        });
        assert!(anew.is_ok() && loaded);
    }
}
