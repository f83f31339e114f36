use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof, proptest};
use proptest::sample::Index;

use super::*;

/// A child that owns its target.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Owned {
    Folder([u8; 32]),
    File([u8; 32], u64, bool),
    Symlink(String),
}

impl Owned {
    fn child(&self) -> Child<'_> {
        match self {
            Self::Folder(hash) => Child::Folder {
                hash: TreeHash::new(*hash),
            },
            Self::File(file_id, size, executable) => Child::File {
                file_id: FileId::new(*file_id),
                size: *size,
                executable: *executable,
            },
            Self::Symlink(target) => Child::Symlink { target },
        }
    }
}

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

fn hash(children: &[(NodeName, Owned)]) -> TreeHash {
    let mut children: Vec<_> = children
        .iter()
        .map(|(name, child)| (name.clone(), child.child()))
        .collect();
    folder_hash(&mut children)
}

fn child() -> impl Strategy<Value = Owned> {
    prop_oneof![
        any::<[u8; 32]>().prop_map(Owned::Folder),
        (any::<[u8; 32]>(), any::<u64>(), any::<bool>())
            .prop_map(|(id, size, bit)| Owned::File(id, size, bit)),
        "[a-z/]{1,9}".prop_map(Owned::Symlink),
    ]
}

fn children() -> impl Strategy<Value = Vec<(NodeName, Owned)>> {
    proptest::collection::btree_map("[a-cA-C]{1,3}|é|E\u{301}", child(), 1..8).prop_map(|children| {
        children
            .into_iter()
            .map(|(text, child)| (name(&text), child))
            .collect()
    })
}

/// What is stored nowhere may still not change: two versions of the program compare hashes with each other.
#[test]
fn the_hashes_of_known_folders() {
    let empty = hash(&[]);
    assert_eq!(
        empty.to_string(),
        "fdcf6271c717aa6322406274731e39db0053689e0d99377a0dbbd705de14c56e"
    );
    let of_all_kinds = hash(&[
        (name("b"), Owned::File([7; 32], 300, true)),
        (name("A"), Owned::Folder(*empty.as_bytes())),
        (name("c"), Owned::Symlink("../b".to_owned())),
    ]);
    assert_eq!(
        of_all_kinds.to_string(),
        "fd99b0b29ff6e650598c41b29038dad524d701cd78eadf20555c227762f9acd4"
    );
}

#[test]
fn children_out_of_order_are_refused() {
    let child = Child::Symlink { target: "x" };
    let mut hasher = FolderHasher::new();
    hasher.add(&name("b"), &child).unwrap();
    assert_eq!(hasher.add(&name("A"), &child), Err(OrderError));
    assert_eq!(hasher.add(&name("b"), &child), Err(OrderError));
    hasher.add(&name("C"), &child).unwrap();
}

#[test]
fn a_record_does_not_read_as_two() {
    let one = hash(&[(name("a"), Owned::Symlink("b".to_owned()))]);
    let other = hash(&[(name("ab"), Owned::Symlink("b".to_owned()))]);
    assert_ne!(one, other);
}

proptest! {
    #[test]
    fn the_order_of_arrival_is_no_part_of_it(children in children(), swaps in vec(any::<(Index, Index)>(), 0..9)) {
        let mut shuffled = children.clone();
        for (a, b) in swaps {
            let (a, b) = (a.index(shuffled.len()), b.index(shuffled.len()));
            shuffled.swap(a, b);
        }
        assert_eq!(hash(&shuffled), hash(&children));
    }

    #[test]
    fn any_change_of_a_child_changes_it(children in children(), which in any::<Index>(), other in child()) {
        let index = which.index(children.len());
        let mut changed = children.clone();
        changed[index].1 = other;
        assert_eq!(hash(&changed) == hash(&children), changed == children);
        changed[index].0 = name(&format!("{}x", changed[index].0));
        assert_ne!(hash(&changed), hash(&children));
        changed.remove(index);
        assert_ne!(hash(&changed), hash(&children));
    }

    #[test]
    fn every_field_of_a_file_counts(id in any::<[u8; 32]>(), size in any::<u64>(), bit in any::<bool>(), at in 0..32_usize) {
        let of = |id, size, bit| hash(&[(name("f"), Owned::File(id, size, bit))]);
        let mut other_id = id;
        other_id[at] ^= 1;
        let base = of(id, size, bit);
        assert_ne!(of(other_id, size, bit), base);
        assert_ne!(of(id, size ^ 1, bit), base);
        assert_ne!(of(id, size, !bit), base);
    }
}
