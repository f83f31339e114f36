use cairn_api::error::ErrorCode;
use cairn_api::sync::{CommitReply, HashedChild, HashedContent, TreeHashReply, TreeHashRequest, path};
use cairn_core::change::{GroupOutcome, Op};
use cairn_core::ids::{NodeId, TreeHash};
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, Content, LinkTarget, Place};
use cairn_core::rev::Seq;
use cairn_core::tree_hash::{Child, folder_hash};

use crate::support::{Device, TestFile, World, assert_refused, create, new_node};

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

fn request(device: &Device<'_>, folder: NodeId, at: Seq) -> TreeHashRequest {
    TreeHashRequest {
        namespace: device.root,
        folder,
        at,
        children: false,
        after: None,
        limit: 1_000,
    }
}

async fn hash(device: &Device<'_>, folder: NodeId, at: Seq) -> TreeHash {
    loop {
        match device
            .post(path::TREE_HASH, &request(device, folder, at))
            .await
            .ok()
        {
            TreeHashReply::Folder { hash } => return hash,
            TreeHashReply::Working { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

/// All children, asked for in pages of `limit`.
async fn children(device: &Device<'_>, folder: NodeId, at: Seq, limit: u32) -> Vec<HashedChild> {
    let mut all: Vec<HashedChild> = Vec::new();
    loop {
        let request = TreeHashRequest {
            children: true,
            after: all.last().map(|child| child.name.clone()),
            limit,
            ..request(device, folder, at)
        };
        match device.post(path::TREE_HASH, &request).await.ok() {
            TreeHashReply::Children { children, has_more } => {
                assert!(children.len() <= limit as usize);
                all.extend(children);
                if !has_more {
                    return all;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn apply(device: &Device<'_>, ops: Vec<Op>) -> Seq {
    let groups = ops.into_iter().map(|op| vec![op]).collect();
    let reply: CommitReply = device.commit(&[], &device.request(groups)).await.ok();
    assert!(
        reply
            .groups
            .iter()
            .all(|group| matches!(group, GroupOutcome::Applied { .. })),
        "{reply:?}"
    );
    reply.cursor.seq
}

fn folder_in(parent: NodeId, node: NodeId, text: &str) -> Op {
    Op::Create {
        node,
        place: Place {
            parent,
            name: name(text),
        },
        content: Content::Directory,
        attributes: Attributes::default(),
    }
}

fn link_in(parent: NodeId, text: &str) -> Op {
    Op::Create {
        node: new_node(),
        place: Place {
            parent,
            name: name(text),
        },
        content: Content::Symlink(LinkTarget::new("x").unwrap()),
        attributes: Attributes::default(),
    }
}

fn file_child(file: &TestFile) -> Child<'static> {
    Child::File {
        file_id: file.content.file_id,
        size: file.content.size,
        executable: false,
    }
}

#[tokio::test]
async fn a_folder_hashes_to_what_it_holds() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let file = TestFile::new(b"some bytes");
    device.put("b", &file).await;
    let (folder, inner) = (new_node(), new_node());
    let at = apply(
        &device,
        vec![
            create(folder, "A", Content::Directory),
            folder_in(folder, inner, "inner"),
            create(new_node(), "c", Content::Symlink(LinkTarget::new("b").unwrap())),
        ],
    )
    .await;

    let empty = folder_hash(&mut []);
    assert_eq!(hash(&device, inner, at).await, empty);
    let of_folder = folder_hash(&mut [(name("inner"), Child::Folder { hash: empty })]);
    assert_eq!(hash(&device, folder, at).await, of_folder);
    let of_root = folder_hash(&mut [
        (name("A"), Child::Folder { hash: of_folder }),
        (name("b"), file_child(&file)),
        (name("c"), Child::Symlink { target: "b" }),
    ]);
    assert_eq!(hash(&device, NodeId::ROOT, at).await, of_root);

    let listed = children(&device, NodeId::ROOT, at, 2).await;
    let names: Vec<&str> = listed.iter().map(|child| child.name.as_str()).collect();
    assert_eq!(names, ["A", "b", "c"]);
    assert_eq!(listed[0].content, HashedContent::Folder { hash: of_folder });
}

#[tokio::test]
async fn a_position_keeps_its_hash() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let folder = new_node();
    let before = apply(&device, vec![create(folder, "a", Content::Directory)]).await;
    let first = hash(&device, NodeId::ROOT, before).await;
    let after = apply(
        &device,
        vec![Op::Move {
            node: folder,
            place: Place {
                parent: NodeId::ROOT,
                name: name("A"),
            },
            base_place: before,
        }],
    )
    .await;
    assert_ne!(
        hash(&device, NodeId::ROOT, after).await,
        first,
        "a name counts as typed"
    );
    assert_eq!(hash(&device, NodeId::ROOT, before).await, first);
}

#[tokio::test]
async fn long_folders_and_deep_trees_are_hashed() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let mut at = Seq::ZERO;
    let mut above = NodeId::ROOT;
    // More wait on the way down than a walk keeps.
    for _ in 0..20 {
        let next = new_node();
        let mut ops = vec![folder_in(above, next, "000")];
        ops.extend((0..300).map(|index| link_in(above, &format!("f{index:04}"))));
        at = apply(&device, ops).await;
        above = next;
    }
    let empty = folder_hash(&mut []);
    let mut expected = empty;
    for _ in 0..20 {
        let mut of_level: Vec<(NodeName, Child<'_>)> = (0..300)
            .map(|index| (name(&format!("f{index:04}")), Child::Symlink { target: "x" }))
            .collect();
        of_level.push((name("000"), Child::Folder { hash: expected }));
        expected = folder_hash(&mut of_level);
    }
    assert_eq!(hash(&device, NodeId::ROOT, at).await, expected);
    assert_eq!(children(&device, NodeId::ROOT, at, 100).await.len(), 301);
}

#[tokio::test]
async fn strangers_and_the_future_are_refused() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let other = world.device("bob@example.org").await;
    let at = apply(&device, vec![create(new_node(), "a", Content::Directory)]).await;
    let asked = request(&device, NodeId::ROOT, at);
    assert_refused(&other.post(path::TREE_HASH, &asked).await, ErrorCode::NotFound);
    let future = request(&device, NodeId::ROOT, Seq::new(at.get() + 1).unwrap());
    assert_refused(
        &device.post(path::TREE_HASH, &future).await,
        ErrorCode::BadRequest,
    );
    let nowhere = request(&device, new_node(), at);
    assert_refused(&device.post(path::TREE_HASH, &nowhere).await, ErrorCode::NotFound);
}
