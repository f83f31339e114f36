//! The world without a script: what is written on one device arrives on the other, whatever fails on the way.

use std::time::Duration;

use cairn_sim::device::DiskFaults;
use cairn_sim::network::NetworkFaults;
use cairn_sim::spawner::Fuse;
use cairn_sim::watch::WatchFaults;
use cairn_sim::world::{World, WorldOptions, simulate};
use cairn_testkit::random::Random;

const LIMIT: Duration = Duration::from_secs(4 * 3_600);

/// Several times what any of these worlds needs.
const POLLS: u64 = 400_000;

/// A device's files, all of them.
fn tree(world: &World, device: usize) -> Vec<(String, Vec<u8>)> {
    let entries = world.device(device).user().tree();
    entries
        .into_iter()
        .map(|(path, entry)| match entry {
            cairn_sim::disk::UserEntry::File { bytes, .. } => (path, bytes.to_vec()),
            _ => (path, Vec::new()),
        })
        .collect()
}

#[track_caller]
pub(crate) fn assert_same(world: &World) {
    assert_eq!(world.failures(), [], "{}", tail(world));
    let first = tree(world, 0);
    for device in 1..world.devices().len() {
        let names = |tree: &[(String, Vec<u8>)]| -> Vec<(String, usize)> {
            tree.iter()
                .map(|(path, bytes)| (path.clone(), bytes.len()))
                .collect()
        };
        let other = tree(world, device);
        assert_eq!(names(&first), names(&other), "{}", tail(world));
        assert!(first == other, "some bytes differ");
    }
}

pub(crate) fn tail(world: &World) -> String {
    let lines = world.trace().lines();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

pub(crate) async fn rest(world: &World) {
    if let Err(error) = world.quiesce(LIMIT).await {
        panic!("seed {}: {error}\n{}", world.seed(), tail(world));
    }
}

/// Two devices on which a few people work for some minutes.
async fn work(world: &World, random: &mut Random) {
    for round in 0..12 {
        for device in 0..world.devices().len() {
            let user = world.device(device).user();
            let folder = format!("folder {}", random.below(3));
            let path = format!("{folder}/file {}", random.below(4));
            let len = [10, 3_000, 90_000, 700_000][random.below(4) as usize];
            // A folder that is there, a file that is not: all of it is as good.
            drop(user.make_folder(&folder));
            match random.below(6) {
                0 => drop(user.rename(&path, &format!("{folder}/renamed {round}"))),
                1 => drop(user.remove(&path)),
                2 => drop(user.append(&path, b"more")),
                3 => drop(user.save_by_rename(&path, &random.bytes(len))),
                _ => drop(user.write(&path, &random.bytes(len))),
            }
        }
        world.run_for(Duration::from_millis(random.below(9_000))).await;
    }
}

/// Works in a world that fails in some way, and lets it come to rest.
async fn converges(mut options: WorldOptions, fail: impl AsyncFn(&World, &mut Random)) -> World {
    let mut random = Random::new(options.seed ^ 0xfeed);
    options.polls = POLLS;
    let world = World::new(options)
        .await
        .expect("a store in memory takes an account");
    world.start();
    work(&world, &mut random).await;
    fail(&world, &mut random).await;
    work(&world, &mut random).await;
    rest(&world).await;
    assert_same(&world);
    world
}

#[test]
fn a_file_travels() {
    simulate(async {
        let world = World::new(WorldOptions::new(1, 2)).await.unwrap();
        world.start();
        world.device(0).user().write("hello.txt", b"hello").unwrap();
        rest(&world).await;
        assert_eq!(**world.device(1).user().read("hello.txt").unwrap(), *b"hello");
        assert_same(&world);
    });
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = || {
        simulate(async {
            let mut options = WorldOptions::new(7, 3);
            options.network = NetworkFaults::BAD;
            options.keeps_trace = true;
            let world = converges(options, async |world, random| {
                world.device(0).kill_after_polls(1 + random.below(400), None);
                world.server().light(Fuse::StoreSteps(1 + random.below(40)));
            })
            .await;
            (world.trace_hash(), world.trace().lines())
        })
    };
    let (first, second) = (run(), run());
    let differ = first.1.iter().zip(&second.1).position(|(a, b)| a != b);
    if let Some(at) = differ {
        let from = at.saturating_sub(20);
        panic!(
            "line {at} differs:\n{}\n---\n{}",
            first.1[from..=at].join("\n"),
            second.1[from..=at].join("\n")
        );
    }
    assert_eq!(first.0, second.0);
}

/// Runs some seeds of one kind of fault; it must really have happened.
fn each_seed(what: &[&'static str], fail: impl AsyncFn(&World, &mut Random) + Copy) {
    let mut happened = 0;
    for seed in 0..4 {
        simulate(async {
            let world = converges(WorldOptions::new(seed, 2), fail).await;
            let counts = world.counts();
            happened += what
                .iter()
                .map(|word| counts.get(word).copied().unwrap_or(0))
                .sum::<u64>();
        });
    }
    assert!(happened > 0, "{what:?} never happened");
}

fn network_alone(what: &'static str, faults: NetworkFaults) {
    each_seed(&[what], async |world, _| {
        (0..2).for_each(|device| world.network().set_faults(device, faults));
    });
}

#[test]
fn lost_requests_are_sent_again() {
    let faults = NetworkFaults {
        request_lost: 150,
        ..NetworkFaults::NONE
    };
    network_alone("request lost", faults);
}

#[test]
fn lost_replies_are_asked_for_again() {
    let faults = NetworkFaults {
        reply_lost: 150,
        stalled: 300,
        ..NetworkFaults::NONE
    };
    network_alone("reply lost", faults);
}

#[test]
fn cut_uploads_are_gone_on_with() {
    let faults = NetworkFaults {
        cut_up: 200,
        ..NetworkFaults::NONE
    };
    network_alone("cut up", faults);
}

#[test]
fn cut_downloads_are_gone_on_with() {
    let faults = NetworkFaults {
        cut_down: 200,
        ..NetworkFaults::NONE
    };
    network_alone("cut down", faults);
}

#[test]
fn requests_that_arrive_twice_count_once() {
    let faults = NetworkFaults {
        duplicate: 300,
        delay_ms: 5_000,
        ..NetworkFaults::NONE
    };
    network_alone("duplicate", faults);
}

#[test]
fn requests_may_overtake_one_another() {
    let faults = NetworkFaults {
        delayed: 200,
        delay_ms: 80_000,
        ..NetworkFaults::NONE
    };
    network_alone("long delay", faults);
}

#[test]
fn a_cut_off_device_catches_up() {
    each_seed(&["partition"], async |world, random| {
        world.network().set_connected(0, false);
        work(world, random).await;
        world.network().set_connected(0, true);
    });
}

#[test]
fn a_daemon_may_die_at_any_poll() {
    each_seed(&["crash by poll"], async |world, random| {
        for _ in 0..10 {
            world.device(0).kill_after_polls(1 + random.below(120), None);
            world.device(1).kill_after_polls(1 + random.below(120), None);
            work(world, random).await;
        }
    });
}

#[test]
fn a_daemon_may_die_before_or_after_any_transaction() {
    each_seed(&["crash by store step"], async |world, random| {
        for _ in 0..10 {
            world.device(0).kill_after_store_steps(1 + random.below(60), None);
            world.device(1).kill_after_store_steps(1 + random.below(60), None);
            work(world, random).await;
        }
    });
}

#[test]
fn a_daemon_may_die_at_any_call_of_its_disk() {
    each_seed(&["crash by disk call"], async |world, random| {
        for _ in 0..10 {
            world.device(0).kill_after_disk_calls(1 + random.below(150), None);
            world.device(1).kill_after_disk_calls(1 + random.below(150), None);
            work(world, random).await;
        }
    });
}

#[test]
fn power_may_be_lost() {
    each_seed(&["power loss"], async |world, random| {
        for _ in 0..6 {
            // People who synced what they wrote lose nothing of it, and this is not about the others.
            world.device(0).user().sync();
            world.device(0).power_loss(Some(Duration::from_secs(3)));
            work(world, random).await;
        }
    });
}

#[test]
fn a_disk_may_fail() {
    let faults = DiskFaults {
        read_errors: 5,
        change_errors: 20,
        late_errors: 20,
        full: 20,
        short_writes: 20,
    };
    each_seed(
        &["EIO", "ENOSPC", "short write", "EIO late"],
        async |world, random| {
            world.device(0).set_disk_faults(faults);
            world.device(1).set_disk_faults(faults);
            work(world, random).await;
        },
    );
}

#[test]
fn a_watcher_may_say_too_little_or_too_much() {
    let faults = WatchFaults {
        dropped: 200,
        overflows: 200,
        late_ms: 3_000,
        ..WatchFaults::default()
    };
    each_seed(&["watcher drop", "watcher overflow"], async |world, random| {
        world.device(0).set_watch_faults(faults);
        world.device(1).set_watch_faults(faults);
        work(world, random).await;
    });
}

#[test]
fn clocks_may_jump() {
    each_seed(&["clock jump"], async |world, random| {
        for by_ms in [86_400_000, -172_800_000, 5_000] {
            world.device(0).jump_clock(by_ms);
            world.server().clock().jump_ms(-by_ms);
            work(world, random).await;
        }
    });
}

#[test]
fn a_server_may_die_at_any_await() {
    each_seed(
        &["crash by store step", "crash by poll"],
        async |world, random| {
            for _ in 0..8 {
                world.server().light(Fuse::StoreSteps(1 + random.below(30)));
                world.server().light(Fuse::Polls(1 + random.below(300)));
                work(world, random).await;
                world.server().start();
            }
        },
    );
}

#[test]
fn a_server_may_be_restored_or_replaced() {
    each_seed(&["server restored", "server replaced"], async |world, random| {
        let backup = world.server().backup();
        work(world, random).await;
        world.server().restore(&backup);
        world.server().start();
        work(world, random).await;
        world.server().replace().await.unwrap();
        world.server().start();
    });
}

#[test]
fn a_device_may_remember_an_older_state_or_none() {
    each_seed(
        &["device state restored", "device state forgotten"],
        async |world, random| {
            let copy = world.device(0).copy_state();
            work(world, random).await;
            world.device(0).restore_state(&copy);
            world.device(0).start();
            work(world, random).await;
            world.device(1).forget_state();
            world.device(1).start();
        },
    );
}
