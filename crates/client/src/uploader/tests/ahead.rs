//! The commit after the one that is under way.

use std::time::Duration;

use tokio::time::timeout;

use super::*;

/// Longer than any of these tests takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// So many small files that they take three commits.
fn three_commits(bench: &Bench) -> Vec<Piece> {
    let files = (0..14).map(|index| bench.new_file(&format!("f{index}"), &noise(index, 900_000)));
    files.collect()
}

async fn in_flight(bench: &Bench) -> bool {
    let state = &bench.uploader.state;
    state.in_flight(bench.uploader.namespace).await.unwrap().is_some()
}

#[tokio::test]
async fn its_chunks_travel_while_the_one_before_is_answered() {
    let bench = bench();
    let pieces = three_commits(&bench);
    bench.remote.faults(|faults| faults.awaits_another = true);
    let results = timeout(DEADLINE, bench.send(pieces)).await.unwrap().unwrap();
    assert!(all_applied(&results, 14));
    let commits = bench.remote.commits();
    assert_eq!(commits.len(), 3);
    let begun = Counted::get(&bench.remote.counted.commits_begun);
    assert!((1..=2).contains(&begun), "never the first: {begun}");
    assert!(!in_flight(&bench).await);
}

#[tokio::test]
async fn what_fails_before_it_asks_for_anything_is_not_in_flight() {
    let bench = bench();
    let pieces = three_commits(&bench);
    bench.remote.faults(|faults| {
        faults.awaits_another = true;
        faults.rejects_begun = Some(ErrorCode::Unavailable);
    });
    let failed = timeout(DEADLINE, bench.send(pieces.clone())).await.unwrap();
    assert!(matches!(failed, Err(UploadError::Remote(_))));
    assert_eq!(bench.remote.commits().len(), 1);
    assert!(!in_flight(&bench).await);
}

#[tokio::test]
async fn what_is_turned_down_for_good_before_it_asks_holds_back_nothing_else() {
    let bench = bench();
    let pieces = three_commits(&bench);
    bench.remote.faults(|faults| {
        faults.awaits_another = true;
        faults.rejects_begun = Some(ErrorCode::TooLarge);
    });
    let results = timeout(DEADLINE, bench.send(pieces)).await.unwrap().unwrap();
    assert_eq!(results.len(), 3);
    assert!(all_applied(&results[..1], results[0].outcomes.len()));
    assert!(results[1].op_id.is_none());
    let is_rejected = |(_, outcome): &(usize, PieceOutcome)| matches!(outcome, PieceOutcome::Rejected(_));
    assert!(results[1].outcomes.iter().all(is_rejected));
    assert!(all_applied(&results[2..], results[2].outcomes.len()));
    assert_eq!(outcomes(&results).len(), 14);
}

#[tokio::test]
async fn a_failure_of_the_one_before_gives_it_up() {
    let bench = bench();
    let pieces = three_commits(&bench);
    bench.remote.faults(|faults| {
        faults.awaits_another = true;
        faults.loses_reply = true;
    });
    timeout(DEADLINE, bench.send(pieces)).await.unwrap().unwrap_err();
    assert_eq!(bench.remote.commits().len(), 1);
    assert!(
        in_flight(&bench).await,
        "the first was sent, and may have been applied"
    );
}
