//! Messages of the protocol: what decodes encodes again to something that decodes to the same.
#![no_main]

use cairn_api::error::ApiError;
use cairn_api::sync::{
    ChangesReply, CommitReply, CommitRequest, CursorReply, Event, FetchStart, NodesReply, from_cbor, to_cbor,
};
use libfuzzer_sys::fuzz_target;

macro_rules! round_trip {
    ($data:expr, $($message:ty),+) => {
        $(if let Ok(message) = from_cbor::<$message>($data) {
            let again = to_cbor(&message);
            let read = from_cbor::<$message>(&again).expect("what was written is read");
            assert_eq!(format!("{message:?}"), format!("{read:?}"));
        })+
    };
}

fuzz_target!(|data: &[u8]| {
    round_trip!(
        data,
        ChangesReply,
        CommitReply,
        CommitRequest,
        CursorReply,
        NodesReply,
        FetchStart,
        Event,
        ApiError
    );
});
