//! What another device asks for when something small has changed: nothing.

use std::time::Duration;

use cairn_client::progress::Route;
use cairn_sim::disk::User;
use cairn_sim::world::{World, WorldOptions, simulate};
use cairn_testkit::random::Random;

use crate::world::{assert_same, rest};

/// What a user does.
type Edit<'a> = (&'static str, &'a dyn Fn(&User));

/// What a device has asked for, by route, without the event stream.
fn asked(world: &World, device: usize) -> Vec<(Route, u64)> {
    let device = world.device(device);
    let routes = Route::ALL.into_iter().filter(|route| *route != Route::Events);
    routes.map(|route| (route, device.requests_of(route))).collect()
}

/// The routes that were asked for since, with how often.
fn since(before: &[(Route, u64)], world: &World, device: usize) -> Vec<(Route, u64)> {
    let now = asked(world, device);
    let news = before.iter().zip(now);
    news.map(|((route, before), (_, now))| (*route, now - before))
        .filter(|(_, count)| *count > 0)
        .collect()
}

#[test]
fn a_small_edit_is_seen_without_a_question_and_reported_once() {
    simulate(async {
        let world = World::new(WorldOptions::new(1, 2)).await.unwrap();
        world.start();
        let mut random = Random::new(5);
        let (draft, large) = (random.bytes(300_000), random.bytes(24 << 20));
        let ada = world.device(0).user();
        ada.write("note", &random.bytes(3_000)).unwrap();
        ada.write("draft", &draft).unwrap();
        ada.write("large", &large).unwrap();
        rest(&world).await;
        let new = random.bytes(20_000);
        let edits: [Edit<'_>; 7] = [
            ("a small file rewritten", &|ada| {
                ada.write("note", b"other words").unwrap()
            }),
            ("a byte of a longer one", &|ada| {
                ada.write_in_place("draft", 150_000, b"!").unwrap();
            }),
            ("a byte of a large one", &|ada| {
                ada.write_in_place("large", 12 << 20, b"!").unwrap()
            }),
            ("a line added to it", &|ada| {
                ada.append("large", b"one more line").unwrap()
            }),
            ("a new file in a new folder", &|ada| {
                ada.make_folder("folder").unwrap();
                ada.write("folder/new", &new).unwrap();
            }),
            ("a rename", &|ada| ada.rename("note", "folder/note").unwrap()),
            ("a deletion", &|ada| ada.remove("draft").unwrap()),
        ];
        for (what, edit) in edits {
            let before = asked(&world, 1);
            edit(&ada);
            // Longer than files are read again for. A look at everything would ask for the journal.
            world.run_for(Duration::from_secs(20)).await;
            assert_same(&world);
            assert_eq!(since(&before, &world, 1), [(Route::Cursor, 1)], "{what}");
        }
        assert_eq!(world.device(0).spared_of(Route::Changes), 0);
    });
}

#[test]
fn a_device_that_is_paused_asks_when_it_goes_on() {
    simulate(async {
        let world = World::new(WorldOptions::new(2, 2)).await.unwrap();
        world.start();
        let mut random = Random::new(6);
        world.device(0).user().write("first", b"first").unwrap();
        rest(&world).await;
        world.device(1).pause();
        for number in 0..10 {
            let name = format!("file {number}");
            world
                .device(0)
                .user()
                .write(&name, &random.bytes(20_000))
                .unwrap();
            world.run_for(Duration::from_secs(20)).await;
        }
        let before = asked(&world, 1);
        world.device(1).resume();
        rest(&world).await;
        assert_same(&world);
        // It has been sent what two steps hold and no more: the rest of the journal and of the files is asked for.
        let asked = since(&before, &world, 1);
        assert!(asked.iter().any(|(route, _)| *route == Route::Fetch), "{asked:?}");
    });
}
