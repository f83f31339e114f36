use std::sync::atomic::{AtomicU64, Ordering};

use cairn_core::file_hasher::FileHasher;

use super::*;
use crate::known::Known;
use crate::scanner::tests::fixture::Device;
use crate::state::ClientState;

/// A file that somebody writes all the time without making it longer.
struct Written {
    metadata: Metadata,
    bytes_read: Arc<AtomicU64>,
}

impl ReadFile for Written {
    fn read_at(&mut self, _: u64, buffer: &mut [u8]) -> FsResult<usize> {
        self.bytes_read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        buffer.fill(0);
        Ok(buffer.len())
    }

    fn metadata(&self) -> FsResult<Metadata> {
        let mut metadata = self.metadata;
        metadata.fingerprint.mtime.seconds += self.bytes_read.load(Ordering::Relaxed) as i64;
        Ok(metadata)
    }
}

fn written_all_the_time(device: &Device, size: u64) -> (Open, Arc<AtomicU64>) {
    device.write("a", "x");
    let path = DiskPath::root().join("a");
    let mut metadata = device.fs.metadata(&path).unwrap().unwrap();
    metadata.fingerprint.size = size;
    let bytes_read = Arc::new(AtomicU64::new(0));
    let open = Open {
        target: Target {
            fs: Arc::clone(&device.fs) as _,
            clock: Arc::clone(&device.runtime.clock),
            path,
        },
        file: Box::new(Written {
            metadata,
            bytes_read: Arc::clone(&bytes_read),
        }),
        observed: device.runtime.clock.now(),
        before: metadata,
    };
    (open, bytes_read)
}

#[tokio::test]
async fn a_long_file_that_is_written_all_the_time_is_not_read_to_its_end() {
    let device = Device::new();
    let size = 40 * COMPARED_BYTES;
    let (open, bytes_read) = written_all_the_time(&device, size);
    let outcome = read_large(&device.runtime, open).await.unwrap();
    assert!(matches!(outcome, ReadOutcome::Busy { size: told } if told == size));
    assert_eq!(bytes_read.load(Ordering::Relaxed), COMPARED_BYTES);
}

#[tokio::test]
async fn nor_is_it_compared_to_its_end() {
    let device = Device::new();
    let zeros = vec![0; 40 * 1024 * 1024];
    let mut hasher = FileHasher::new();
    hasher.update(&zeros).unwrap();
    let FileSummary { content, pages } = hasher.finish().unwrap();
    device.state.keep_pages(&pages).await.unwrap();
    let known = Known::load(&*device.state, &content).await.unwrap().unwrap();
    let (open, bytes_read) = written_all_the_time(&device, content.size);
    let begun = Begun::Large(Box::new(open), Some(Box::new(known)));
    let outcome = go_on(&device.runtime, begun).await.unwrap();
    assert!(matches!(outcome, ReadOutcome::Busy { .. }));
    assert!(bytes_read.load(Ordering::Relaxed) < 2 * COMPARED_BYTES);
}

/// Whether a file of these times is unsure that was read so long after the last of them.
fn is_unsure_after(ctime: Mtime, after_ms: i64, step_ns: u64) -> bool {
    let fingerprint = Fingerprint {
        inode: 1,
        born_ns: None,
        size: 1,
        mtime: Mtime::default(),
        ctime,
    };
    let observed =
        Timestamp::from_millis(ctime.seconds * 1_000 + i64::from(ctime.nanos) / 1_000_000 + after_ms);
    is_unsure(&fingerprint, observed, step_ns)
}

#[test]
fn a_disk_that_keeps_whole_seconds_is_known_by_them() {
    let at = |nanos| Mtime {
        seconds: 1_000_000_000,
        nanos,
    };
    let step_ns = 10_000_000;
    assert!(is_unsure_after(at(7_000_000), 9, step_ns));
    assert!(!is_unsure_after(at(7_000_000), 11, step_ns));
    assert!(is_unsure_after(at(0), 999, step_ns));
    assert!(!is_unsure_after(at(0), 2_001, step_ns));
    assert!(is_unsure_after(at(0), 2_001, 3_000_000_000));
}
