//! A body of frames, cut into blocks anywhere, reads as it does whole, and what was read writes back as it was.
#![no_main]

use bytes::BytesMut;
use cairn_api::frame::{Frame, FrameReader};
use libfuzzer_sys::fuzz_target;

fn read(blocks: &[&[u8]]) -> (Vec<Frame>, Option<String>) {
    let mut reader = FrameReader::new();
    let mut frames = Vec::new();
    for block in blocks {
        reader.push(block);
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error.to_string())),
            }
        }
    }
    let end = reader.finish().err().map(|error| error.to_string());
    (frames, end)
}

fuzz_target!(|data: &[u8]| {
    let Some((cut, body)) = data.split_first() else {
        return;
    };
    let whole = read(&[body]);
    let (first, second) = body.split_at(usize::from(*cut) * body.len() / 256);
    assert_eq!(whole, read(&[first, second]));
    let mut written = BytesMut::new();
    for frame in &whole.0 {
        frame.encode(&mut written);
        assert!(body.starts_with(&written));
    }
});
