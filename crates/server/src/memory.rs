//! Bounds the memory that request bodies take together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ServiceError;

/// Unit of a reservation, so that a semaphore of 32 bits reaches far enough.
const UNIT_BYTES: usize = 1024;
/// How long a request waits for memory before it is sent away: shorter than any client's patience.
const WAIT: Duration = Duration::from_secs(20);

/// Bytes that request bodies may take together.
pub(crate) struct BodyMemory {
    units: Arc<Semaphore>,
    total_units: usize,
}

/// What one body has of it; given back when dropped.
pub(crate) struct Reservation<'m> {
    memory: &'m BodyMemory,
    permit: Option<OwnedSemaphorePermit>,
}

impl BodyMemory {
    pub(crate) fn new(bytes: usize) -> Self {
        let total_units = units(bytes).clamp(1, u32::MAX as usize);
        Self {
            units: Arc::new(Semaphore::new(total_units)),
            total_units,
        }
    }

    /// Reserves nothing yet.
    pub(crate) const fn begin(&self) -> Reservation<'_> {
        Reservation {
            memory: self,
            permit: None,
        }
    }
}

impl Reservation<'_> {
    /// Makes it so many bytes if that takes no waiting; says whether it has them.
    pub(crate) fn try_grow_to(&mut self, bytes: usize) -> bool {
        let more = self.lacking(bytes);
        if more == 0 {
            return true;
        }
        match Arc::clone(&self.memory.units).try_acquire_many_owned(more) {
            Ok(permit) => {
                self.add(permit);
                true
            }
            Err(_) => false,
        }
    }

    /// Waits until it is so many bytes. Bodies that wait for each other are sent away when their time is over.
    pub(crate) async fn grow_to(&mut self, bytes: usize) -> Result<(), ServiceError> {
        let more = self.lacking(bytes);
        if more > 0 {
            let permit = acquire(&self.memory.units, more, WAIT).await?;
            self.add(permit);
        }
        Ok(())
    }

    /// Gives back what is more than so many bytes.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        if let Some(permit) = &mut self.permit {
            drop(permit.split(permit.num_permits().saturating_sub(units(bytes))));
        }
    }

    /// A body that wants more than there is gets all of it: it is then alone.
    fn lacking(&self, bytes: usize) -> u32 {
        let has = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        units(bytes).min(self.memory.total_units).saturating_sub(has) as u32
    }

    fn add(&mut self, permit: OwnedSemaphorePermit) {
        match &mut self.permit {
            Some(own) => own.merge(permit),
            None => self.permit = Some(permit),
        }
    }
}

const fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT_BYTES)
}

/// Waits for permits, but not for long.
pub(crate) async fn acquire(
    semaphore: &Arc<Semaphore>,
    permits: u32,
    wait: Duration,
) -> Result<OwnedSemaphorePermit, ServiceError> {
    match tokio::time::timeout(wait, Arc::clone(semaphore).acquire_many_owned(permits)).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => Err(ServiceError::Busy {
            retry_after: Duration::from_secs(2),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bodies_share_what_there_is() {
        let memory = BodyMemory::new(10 * UNIT_BYTES);
        let mut first = memory.begin();
        first.grow_to(6 * UNIT_BYTES).await.unwrap();
        let mut second = memory.begin();
        assert!(second.try_grow_to(4 * UNIT_BYTES));
        assert!(!second.try_grow_to(4 * UNIT_BYTES + 1));
        assert!(matches!(
            second.grow_to(5 * UNIT_BYTES).await,
            Err(ServiceError::Busy { .. })
        ));
        first.shrink_to(UNIT_BYTES);
        assert!(second.try_grow_to(9 * UNIT_BYTES));
        drop(first);
        assert!(second.try_grow_to(100 * UNIT_BYTES), "who is alone may have all");
        drop(second);
        assert_eq!(memory.units.available_permits(), 10);
    }
}
