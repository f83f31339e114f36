//! What is held back, or cannot be read or written, holds nothing else back, and is told by its reason.

use std::time::Duration;

use cairn_client::status::Status;
use cairn_sim::world::{World, WorldOptions, simulate};

use crate::world::{assert_same, rest, tail};

/// Longer than any of these takes.
const PATIENCE: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(200);

async fn pair(seed: u64) -> World {
    let world = World::new(WorldOptions::new(seed, 2))
        .await
        .expect("a store in memory takes an account");
    world.start();
    world
}

/// Waits in virtual time.
async fn until(world: &World, what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            world.run_for(LOOK_EVERY).await;
        }
    };
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        let statuses: Vec<Option<Status>> = world.devices().iter().map(|device| device.status()).collect();
        panic!("{what} does not come about: {statuses:?}\n{}", tail(world));
    }
}

fn has(world: &World, device: usize, path: &str, bytes: &[u8]) -> bool {
    let read = world.device(device).user().read(path);
    read.is_ok_and(|read| **read == *bytes)
}

/// The code of what a device says about a path.
fn code_of(world: &World, device: usize, path: &str) -> Option<String> {
    let status = world.device(device).status()?;
    let found = status.problems.iter().find(|problem| problem.path == path);
    assert!(found.is_none() || !status.in_sync, "{status:?}");
    found.map(|problem| problem.code.clone())
}

/// New files go both ways.
async fn others_travel(world: &World, round: &str) {
    let (mine, theirs) = (format!("mine {round}"), format!("theirs {round}"));
    for (device, name) in [(0, &mine), (1, &theirs)] {
        let written = world.device(device).user().write(name, name.as_bytes());
        written.expect("nothing is in the way of a new file");
    }
    until(world, &format!("what is sent beside it ({round})"), || {
        has(world, 1, &mine, mine.as_bytes()) && has(world, 0, &theirs, theirs.as_bytes())
    })
    .await;
}

/// PEERS 3: a brake that is noticed in the middle of a run, stops nothing else, and outlasts a restart.
#[test]
fn a_mass_deletion_in_the_middle_of_a_run_is_held_and_all_else_goes_on() {
    const FILES: usize = 1_200;
    simulate(async {
        let world = pair(3).await;
        let user = world.device(0).user();
        user.make_folder("many").unwrap();
        for number in 0..FILES {
            user.write(&format!("many/{number}"), number.to_string().as_bytes())
                .unwrap();
        }
        user.write("other", b"stays").unwrap();
        rest(&world).await;
        let below = |device: usize| {
            let tree = world.device(device).user().tree();
            tree.keys().filter(|path| path.starts_with("many/")).count()
        };
        assert_eq!(below(1), FILES);

        world.device(0).user().remove_tree("many").unwrap();
        let held = || {
            let status = world.device(0).status();
            status.is_some_and(|status| status.held_deletes > FILES as u64)
        };
        until(&world, "the brake", held).await;
        others_travel(&world, "while it is held").await;
        assert_eq!(code_of(&world, 0, "").as_deref(), Some("mass-delete"));
        assert_eq!((below(0), below(1)), (0, FILES));

        world.device(0).kill();
        world.device(0).start();
        until(&world, "the brake after a restart", held).await;
        others_travel(&world, "after a restart").await;
        assert_eq!(code_of(&world, 0, "").as_deref(), Some("mass-delete"));
        assert_eq!((below(0), below(1)), (0, FILES));

        world.device(0).release_deletes();
        rest(&world).await;
        assert_same(&world);
        assert_eq!(below(1), 0);
        assert!(has(&world, 1, "other", b"stays"));
    });
}

/// PEERS 15: one file that cannot be read.
#[test]
fn a_file_that_cannot_be_read_stops_no_other_and_is_told() {
    simulate(async {
        let world = pair(15).await;
        world.device(0).user().write("locked", b"before").unwrap();
        world.device(0).user().write("free", b"before").unwrap();
        rest(&world).await;
        world.device(0).user().write("locked", b"not to be read").unwrap();
        world.device(0).disk().set_denied("locked", true).unwrap();
        world.device(0).user().write("free", b"after").unwrap();
        until(&world, "the other file", || has(&world, 1, "free", b"after")).await;
        others_travel(&world, "beside it").await;
        until(&world, "its reason", || {
            code_of(&world, 0, "locked").as_deref() == Some("unreadable")
        })
        .await;
        assert!(has(&world, 1, "locked", b"before"), "no empty or torn version");

        world.device(0).disk().set_denied("locked", false).unwrap();
        rest(&world).await;
        assert_same(&world);
        assert!(has(&world, 1, "locked", b"not to be read"));
    });
}

/// PEERS 15: one file that cannot be written, since the folder that it lies in is closed.
#[test]
fn a_file_that_cannot_be_written_stops_no_other_and_is_told() {
    simulate(async {
        let world = pair(16).await;
        world.device(0).user().make_folder("closed").unwrap();
        world.device(0).user().write("closed/file", b"before").unwrap();
        rest(&world).await;
        world.device(1).disk().set_denied("closed", true).unwrap();
        world.device(0).user().write("closed/file", b"after").unwrap();
        others_travel(&world, "beside it").await;
        until(&world, "its reason", || {
            code_of(&world, 1, "closed/file").as_deref() == Some("disk")
        })
        .await;
        assert!(has(&world, 1, "closed/file", b"before"));

        world.device(1).disk().set_denied("closed", false).unwrap();
        rest(&world).await;
        assert_same(&world);
        assert!(has(&world, 1, "closed/file", b"after"));
    });
}

/// The same for a file that is new there.
#[test]
fn a_new_file_for_a_closed_folder_stops_no_other_and_is_told() {
    simulate(async {
        let world = pair(17).await;
        world.device(0).user().make_folder("closed").unwrap();
        rest(&world).await;
        world.device(1).disk().set_denied("closed", true).unwrap();
        world.device(0).user().write("closed/new", b"new").unwrap();
        until(&world, "its reason", || {
            code_of(&world, 1, "closed/new").as_deref() == Some("disk")
        })
        .await;
        others_travel(&world, "beside it").await;
        world.device(1).kill();
        world.device(1).start();
        others_travel(&world, "after a restart").await;

        world.device(1).disk().set_denied("closed", false).unwrap();
        rest(&world).await;
        assert_same(&world);
        assert!(has(&world, 1, "closed/new", b"new"));
    });
}
