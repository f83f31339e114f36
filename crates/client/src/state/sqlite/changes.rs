//! Nodes under change in one transaction: loaded, changed in memory, written back with all that follows from them.

use std::collections::{BTreeMap, HashSet};

use cairn_core::ids::NodeId;
use cairn_core::rev::Seq;
use cairn_core::tree::Entry;
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::Number;
use super::fault::Fault;
use super::row::{EntryColumns, ObservedColumns, fill, node, node_id, select_entries, shared};
use crate::state::LocalRow;
use crate::state::triple::{TreeName, Triple};

/// Nodes that are kept in memory while more of the same batch may concern them.
const NODES_IN_MEMORY: usize = 8_192;
/// Nodes that are handled at once where a change concerns many.
pub(super) const NODES_AT_ONCE: usize = 2_000;

/// The nodes of one namespace that a transaction has touched.
pub(super) struct Changes<'t> {
    pub(super) connection: &'t mut SqliteConnection,
    pub(super) number: Number,
    nodes: BTreeMap<NodeId, Change>,
    totals: Totals,
    /// The folders that the device does not keep, once they were asked for.
    pub(super) excluded: Option<HashSet<NodeId>>,
}

struct Change {
    /// As the file has it.
    before: Triple,
    after: Triple,
}

/// What the counts of the namespace change by.
#[derive(Default)]
struct Totals {
    local: i64,
    remote: i64,
    dirty: i64,
    seen: Seq,
}

impl<'t> Changes<'t> {
    pub(super) fn new(connection: &'t mut SqliteConnection, number: Number) -> Self {
        Self {
            connection,
            number,
            nodes: BTreeMap::new(),
            totals: Totals::default(),
            excluded: None,
        }
    }

    /// Loads nodes ahead of their change: one statement for many.
    pub(super) async fn load(&mut self, nodes: &[NodeId]) -> Result<(), Fault> {
        let missing: HashSet<NodeId> = nodes
            .iter()
            .copied()
            .filter(|node| !self.nodes.contains_key(node))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let missing: Vec<NodeId> = missing.into_iter().collect();
        let mut found = triples(self.connection, self.number, &missing).await?;
        for node in missing {
            let before = found.remove(&node).unwrap_or_default();
            self.nodes.insert(
                node,
                Change {
                    after: before.clone(),
                    before,
                },
            );
        }
        Ok(())
    }

    /// A node as it is by now, to be changed.
    pub(super) async fn at(&mut self, node: NodeId) -> Result<&mut Triple, Fault> {
        self.load(&[node]).await?;
        match self.nodes.get_mut(&node) {
            Some(change) => Ok(&mut change.after),
            None => Err(Fault::damaged("node")),
        }
    }

    /// Remembers the positions that an entry of the server shows.
    pub(super) fn saw(&mut self, entry: &Entry) {
        self.saw_seq(entry.place_seq.max(entry.content_seq));
    }

    /// Remembers a position.
    pub(super) fn saw_seq(&mut self, seq: Seq) {
        self.totals.seen = self.totals.seen.max(seq);
    }

    /// Takes a node, with all that is below it if it may be a folder, out of a tree.
    pub(super) async fn remove_subtree(&mut self, tree: TreeName, node: NodeId) -> Result<(), Fault> {
        if self.at(node).await?.may_hold(tree) {
            self.write().await?;
            let below = subtree(self.connection, self.number, tree, node).await?;
            for nodes in below.chunks(NODES_AT_ONCE) {
                self.load(nodes).await?;
                for node in nodes {
                    self.at(*node).await?.clear(tree);
                }
                self.write().await?;
            }
        }
        self.at(node).await?.clear(tree);
        Ok(())
    }

    /// Gives a local node another id; what is in it goes along.
    pub(super) async fn rebind(&mut self, from: NodeId, to: NodeId) -> Result<(), Fault> {
        if from == to {
            return Ok(());
        }
        loop {
            self.write().await?;
            let children = local_children(self.connection, self.number, from, NODES_AT_ONCE).await?;
            if children.is_empty() {
                break;
            }
            self.load(&children).await?;
            for child in children {
                if let Some(row) = &mut self.at(child).await?.local {
                    row.entry.place.parent = to;
                }
            }
        }
        if let Some(row) = self.at(from).await?.local.take() {
            self.at(to).await?.local = Some(LocalRow { node: to, ..row });
        }
        Ok(())
    }

    /// Writes what changed, so that statements see it.
    pub(super) async fn write(&mut self) -> Result<(), Fault> {
        let changed: Vec<(NodeId, &Change)> = self
            .nodes
            .iter()
            .filter(|(_, change)| change.before != change.after)
            .map(|(node, change)| (*node, change))
            .collect();
        let rows: Vec<Difference<'_>> = changed
            .iter()
            .map(|(node, change)| Difference::of(*node, change))
            .collect();
        for row in &rows {
            self.totals.local += row.local;
            self.totals.remote += row.remote;
            self.totals.dirty += row.dirty;
        }
        store(self.connection, self.number, &rows).await?;
        for change in self.nodes.values_mut() {
            if change.before != change.after {
                change.before = change.after.clone();
            }
        }
        if self.nodes.len() > NODES_IN_MEMORY {
            self.nodes.clear();
        }
        Ok(())
    }

    /// Writes the rest, and the counts.
    pub(super) async fn finish(mut self) -> Result<(), Fault> {
        self.write().await?;
        sqlx::query(
            "UPDATE namespace
             SET local_nodes = local_nodes + $2,
                 remote_nodes = remote_nodes + $3,
                 dirty_nodes = dirty_nodes + $4,
                 seen = max(seen, $5)
             WHERE number = $1",
        )
        .bind(self.number)
        .bind(self.totals.local)
        .bind(self.totals.remote)
        .bind(self.totals.dirty)
        .bind(self.totals.seen.get())
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}

/// What has to be written for one node.
struct Difference<'c> {
    node: NodeId,
    /// Whether rows of `entry` have to go first.
    is_stale: bool,
    entries: Vec<(i64, EntryColumns<'c>)>,
    observed: Option<ObservedColumns<'c>>,
    is_unobserved: bool,
    local: i64,
    remote: i64,
    dirty: i64,
}

impl<'c> Difference<'c> {
    fn of(node: NodeId, change: &'c Change) -> Self {
        let before = shared(&change.before);
        let mut entries = shared(&change.after);
        let is_same = before == entries;
        if is_same {
            entries.clear();
        }
        let was_observed = change.before.local.as_ref().map(ObservedColumns::from);
        let observed = change.after.local.as_ref().map(ObservedColumns::from);
        let count = |was: bool, is: bool| i64::from(is) - i64::from(was);
        Self {
            node,
            is_stale: !is_same && !before.is_empty(),
            entries,
            is_unobserved: was_observed.is_some() && observed.is_none(),
            local: count(was_observed.is_some(), observed.is_some()),
            remote: count(change.before.remote.is_some(), change.after.remote.is_some()),
            dirty: count(change.before.is_dirty(), change.after.is_dirty()),
            observed: observed.filter(|observed| Some(observed) != was_observed.as_ref()),
        }
    }
}

async fn store(
    connection: &mut SqliteConnection,
    number: Number,
    rows: &[Difference<'_>],
) -> Result<(), Fault> {
    let nodes_where = |wanted: fn(&Difference<'_>) -> bool| -> Vec<NodeId> {
        rows.iter()
            .filter(|row| wanted(row))
            .map(|row| row.node)
            .collect()
    };
    let stale = nodes_where(|row| row.is_stale);
    let delete = "DELETE FROM entry WHERE ns = $1 AND node IN (SELECT value FROM json_each($2))";
    for_nodes(connection, delete, number, &stale).await?;
    let unobserved = nodes_where(|row| row.is_unobserved);
    let delete = "DELETE FROM observed WHERE ns = $1 AND node IN (SELECT value FROM json_each($2))";
    for_nodes(connection, delete, number, &unobserved).await?;
    let clean = nodes_where(|row| row.dirty < 0);
    let delete = "DELETE FROM dirty WHERE ns = $1 AND node IN (SELECT value FROM json_each($2))";
    for_nodes(connection, delete, number, &clean).await?;
    let dirty = nodes_where(|row| row.dirty > 0);
    let insert = "INSERT INTO dirty (ns, node) SELECT $1, value FROM json_each($2)";
    for_nodes(connection, insert, number, &dirty).await?;
    let entries: Vec<_> = rows
        .iter()
        .flat_map(|row| row.entries.iter().map(|(trees, entry)| (row.node, *trees, entry)))
        .collect();
    for some in in_even_parts(&entries) {
        insert_entries(connection, number, some).await?;
    }
    let observed: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((row.node, row.observed.as_ref()?)))
        .collect();
    for some in in_even_parts(&observed) {
        insert_observed(connection, number, some).await?;
    }
    Ok(())
}

async fn for_nodes(
    connection: &mut SqliteConnection,
    sql: &'static str,
    number: Number,
    nodes: &[NodeId],
) -> Result<(), Fault> {
    if !nodes.is_empty() {
        sqlx::query(sql)
            .bind(number)
            .bind(json_ids(nodes))
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Cuts rows into parts of 64, then of 8, then single ones, so that few different statements are prepared.
pub(super) fn in_even_parts<T>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    let (many, rest) = rows.split_at(rows.len() - rows.len() % 64);
    let (some, few) = rest.split_at(rest.len() - rest.len() % 8);
    many.chunks(64).chain(some.chunks(8)).chain(few.chunks(1))
}

async fn insert_entries(
    connection: &mut SqliteConnection,
    number: Number,
    rows: &[(NodeId, i64, &EntryColumns<'_>)],
) -> Result<(), Fault> {
    let mut statement: QueryBuilder<Sqlite> = QueryBuilder::new(
        "INSERT INTO entry (ns, node, trees, parent, name, folded, kind, file_id, size, target, mtime_s, mtime_ns, exec,
                            place_seq, content_seq) ",
    );
    statement.push_values(rows, |mut values, (node, trees, entry)| {
        values
            .push_bind(number)
            .push_bind(node.get())
            .push_bind(*trees)
            .push_bind(entry.parent)
            .push_bind(entry.name)
            .push_bind(entry.folded.as_deref())
            .push_bind(entry.kind)
            .push_bind(entry.file_id)
            .push_bind(entry.size)
            .push_bind(entry.target)
            .push_bind(entry.mtime.seconds)
            .push_bind(i64::from(entry.mtime.nanos))
            .push_bind(entry.executable)
            .push_bind(entry.place_seq)
            .push_bind(entry.content_seq);
    });
    statement.build().execute(connection).await?;
    Ok(())
}

async fn insert_observed(
    connection: &mut SqliteConnection,
    number: Number,
    rows: &[(NodeId, &ObservedColumns<'_>)],
) -> Result<(), Fault> {
    let mut statement: QueryBuilder<Sqlite> = QueryBuilder::new(
        "INSERT OR REPLACE INTO observed (ns, node, disk_name, inode, born_s, born_ns, size, mtime_s, mtime_ns, ctime_s,
                                          ctime_ns, unsure) ",
    );
    statement.push_values(rows, |mut values, (node, row)| {
        values
            .push_bind(number)
            .push_bind(node.get())
            .push_bind(row.disk_name)
            .push_bind(row.inode)
            .push_bind(row.born_s)
            .push_bind(row.born_ns)
            .push_bind(row.size)
            .push_bind(row.mtime.map(|mtime| mtime.seconds))
            .push_bind(row.mtime.map(|mtime| i64::from(mtime.nanos)))
            .push_bind(row.ctime.seconds)
            .push_bind(i64::from(row.ctime.nanos))
            .push_bind(row.is_unsure);
    });
    statement.build().execute(connection).await?;
    Ok(())
}

/// Nodes as the one argument of a statement.
pub(super) fn json_ids(nodes: &[NodeId]) -> String {
    let mut text = String::with_capacity(nodes.len() * 20 + 2);
    text.push('[');
    for (index, node) in nodes.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&node.get().to_string());
    }
    text.push(']');
    text
}

/// The nodes that any tree has, of those asked for.
pub(super) async fn triples(
    connection: &mut SqliteConnection,
    number: Number,
    nodes: &[NodeId],
) -> Result<BTreeMap<NodeId, Triple>, Fault> {
    let mut found: BTreeMap<NodeId, Triple> = BTreeMap::new();
    for some in nodes.chunks(NODES_AT_ONCE) {
        let rows = sqlx::query(select_entries!(
            "json_each($2) j CROSS JOIN entry e ON e.ns = $1 AND e.node = j.value",
            ""
        ))
        .bind(number)
        .bind(json_ids(some))
        .fetch_all(&mut *connection)
        .await?;
        for row in rows {
            fill(found.entry(node(&row)?).or_default(), &row)?;
        }
    }
    Ok(found)
}

/// Nodes of a local folder by name key.
pub(super) async fn local_children(
    connection: &mut SqliteConnection,
    number: Number,
    folder: NodeId,
    limit: usize,
) -> Result<Vec<NodeId>, Fault> {
    let rows = sqlx::query("SELECT node FROM entry WHERE ns = $1 AND parent = $2 AND trees & 2 LIMIT $3")
        .bind(number)
        .bind(folder.get())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| node_id(row.try_get(0)?)).collect()
}

/// Every node below one in a tree; 8 bytes each.
pub(super) async fn subtree(
    connection: &mut SqliteConnection,
    number: Number,
    tree: TreeName,
    top: NodeId,
) -> Result<Vec<NodeId>, Fault> {
    // UNION, not UNION ALL: it ends on a ring too.
    let rows = sqlx::query(
        "WITH RECURSIVE below (node) AS (
             VALUES ($2)
             UNION
             SELECT e.node
             FROM below CROSS JOIN entry e ON e.ns = $1 AND e.parent = below.node
             WHERE e.trees & $3)
         SELECT node FROM below WHERE node <> $2",
    )
    .bind(number)
    .bind(top.get())
    .bind(tree.bit())
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| node_id(row.try_get(0)?)).collect()
}
