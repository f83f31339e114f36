//! Bounds the memory that request bodies take together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ServiceError;

/// Unit of a reservation, so that a semaphore of 32 bits reaches far enough.
const UNIT_BYTES: usize = 1024;
/// How long a request waits for memory before it is sent away: shorter than any client's patience.
const WAIT: Duration = Duration::from_secs(20);

/// Bytes that request bodies may take together. A request reserves what it may need before it reads anything, all at
/// once, so that no two can wait for each other.
pub(crate) struct BodyMemory {
    units: Arc<Semaphore>,
    total_units: usize,
}

impl BodyMemory {
    pub(crate) fn new(bytes: usize) -> Self {
        let total_units = bytes.div_ceil(UNIT_BYTES).clamp(1, u32::MAX as usize);
        Self { units: Arc::new(Semaphore::new(total_units)), total_units }
    }

    /// Waits for so many bytes; they are given back when the permit is dropped.
    pub(crate) async fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ServiceError> {
        let units = bytes.div_ceil(UNIT_BYTES).min(self.total_units) as u32;
        acquire(&self.units, units, WAIT).await
    }
}

/// Waits for permits, but not for long.
pub(crate) async fn acquire(
    semaphore: &Arc<Semaphore>,
    permits: u32,
    wait: Duration,
) -> Result<OwnedSemaphorePermit, ServiceError> {
    match tokio::time::timeout(wait, Arc::clone(semaphore).acquire_many_owned(permits)).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => Err(ServiceError::Busy { retry_after: Duration::from_secs(2) }),
    }
}
