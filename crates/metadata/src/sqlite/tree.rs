//! Reading trees, as they are and as they were.
//!
//! A past state is the current row where it is old enough, else the interval of the history that holds the position.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cairn_core::ids::{NamespaceId, NodeId};
use cairn_core::name::{NameKey, NodeName};
use cairn_core::node::{Node, NodeKind};
use cairn_core::rev::Seq;

use super::decode::Columns;
use super::error::corrupt;
use super::statement::{Query, Session, lists, query, query_list};
use crate::row::NodeRow;
use crate::{NodePage, Result};

/// Positions that `at` stands for when it is the present.
const NOW: i64 = i64::MAX;

fn position(at: Option<Seq>) -> i64 {
    at.map_or(NOW, Seq::get)
}

/// One namespace at one position, as one read transaction sees it.
pub(super) struct Tree<'s, 'c> {
    session: &'s mut Session<'c>,
    namespace: NamespaceId,
    at: i64,
    /// Parents at the position; `None` for nodes that were not there.
    parents: HashMap<NodeId, Option<NodeId>>,
}

impl<'s, 'c> Tree<'s, 'c> {
    pub(super) fn new(session: &'s mut Session<'c>, namespace: NamespaceId, at: Option<Seq>) -> Self {
        Self {
            session,
            namespace,
            at: position(at),
            parents: HashMap::new(),
        }
    }

    /// Finds nodes in their state at the position, wherever they stood.
    pub(super) async fn states(&mut self, ids: &[NodeId]) -> Result<HashMap<NodeId, NodeRow>> {
        let mut found = HashMap::with_capacity(ids.len());
        for list in lists(ids) {
            let statement = query_list(
                "SELECT node_id, parent_id, name, key, kind, size, content, mtime_s, mtime_ns, executable, place_seq,
                     content_seq, attributes_seq, created_seq
                 FROM node WHERE ns_id = $1 AND created_seq <= $2 AND node_id IN ({list})",
                3,
                list.len(),
            );
            for row in self.session.all(self.bind(statement, &list)).await? {
                let row = Columns::of(&row).node()?;
                found.insert(row.id, row);
            }
        }
        self.put_past_places(&mut found).await?;
        self.put_past_contents(&mut found).await?;
        Ok(found)
    }

    fn bind<'q>(&self, statement: Query<'q>, list: &[NodeId]) -> Query<'q> {
        list.iter().fold(
            statement.bind(self.namespace.get()).bind(self.at),
            |statement, id| statement.bind(id.get()),
        )
    }

    async fn put_past_places(&mut self, rows: &mut HashMap<NodeId, NodeRow>) -> Result<()> {
        let moved: Vec<NodeId> = rows
            .values()
            .filter(|row| row.place_seq.get() > self.at)
            .map(|row| row.id)
            .collect();
        for list in lists(&moved) {
            let statement = query_list(
                "SELECT node_id, parent_id, name, key, seq_from FROM place_history
                 WHERE ns_id = $1 AND seq_from <= $2 AND seq_to > $2 AND node_id IN ({list})",
                3,
                list.len(),
            );
            for row in self.session.all(self.bind(statement, &list)).await? {
                let mut columns = Columns::of(&row);
                let Some(state) = rows.get_mut(&columns.node_id()?) else {
                    continue;
                };
                state.parent = columns.node_id()?;
                state.name = columns.name()?;
                state.key = columns.text()?.to_owned();
                state.place_seq = columns.seq()?;
            }
        }
        match rows.values().find(|row| row.place_seq.get() > self.at) {
            Some(row) => Err(corrupt(format!("node {} has a gap in its place history", row.id))),
            None => Ok(()),
        }
    }

    async fn put_past_contents(&mut self, rows: &mut HashMap<NodeId, NodeRow>) -> Result<()> {
        let edited: Vec<NodeId> = rows
            .values()
            .filter(|row| row.content_seq.get() > self.at)
            .map(|row| row.id)
            .collect();
        for list in lists(&edited) {
            let statement = query_list(
                "SELECT node_id, kind, size, content, mtime_s, mtime_ns, executable, seq_from, attributes_seq
                 FROM content_history
                 WHERE ns_id = $1 AND seq_from <= $2 AND seq_to > $2 AND node_id IN ({list})",
                3,
                list.len(),
            );
            for row in self.session.all(self.bind(statement, &list)).await? {
                let mut columns = Columns::of(&row);
                let Some(state) = rows.get_mut(&columns.node_id()?) else {
                    continue;
                };
                state.content = columns.content()?;
                state.attributes = columns.attributes()?;
                state.content_seq = columns.seq()?;
                state.attributes_seq = columns.seq()?;
            }
        }
        match rows.values().find(|row| row.content_seq.get() > self.at) {
            Some(row) => Err(corrupt(format!(
                "node {} has a gap in its content history",
                row.id
            ))),
            None => Ok(()),
        }
    }

    /// Learns the parents of these nodes and of all folders above them: one or two statements a level.
    async fn learn_ancestors(&mut self, ids: &[NodeId]) -> Result<()> {
        let mut frontier: BTreeSet<NodeId> = ids.iter().copied().collect();
        loop {
            frontier.retain(|id| !id.is_reserved() && !self.parents.contains_key(id));
            if frontier.is_empty() {
                return Ok(());
            }
            let level: Vec<NodeId> = frontier.iter().copied().collect();
            let mut moved = Vec::new();
            for list in lists(&level) {
                let statement = query_list(
                    "SELECT node_id, parent_id, place_seq FROM node
                     WHERE ns_id = $1 AND created_seq <= $2 AND node_id IN ({list})",
                    3,
                    list.len(),
                );
                for row in self.session.all(self.bind(statement, &list)).await? {
                    let mut columns = Columns::of(&row);
                    let (id, parent) = (columns.node_id()?, columns.node_id()?);
                    if columns.i64()? > self.at {
                        moved.push(id);
                    } else {
                        self.parents.insert(id, Some(parent));
                    }
                }
            }
            for list in lists(&moved) {
                let statement = query_list(
                    "SELECT node_id, parent_id FROM place_history
                     WHERE ns_id = $1 AND seq_from <= $2 AND seq_to > $2 AND node_id IN ({list})",
                    3,
                    list.len(),
                );
                for row in self.session.all(self.bind(statement, &list)).await? {
                    let mut columns = Columns::of(&row);
                    self.parents.insert(columns.node_id()?, Some(columns.node_id()?));
                }
            }
            frontier.clear();
            for id in level {
                if let Some(parent) = *self.parents.entry(id).or_insert(None) {
                    frontier.insert(parent);
                }
            }
        }
    }

    /// Whether a node whose ancestors are known stood in the tree.
    fn is_live(&self, id: NodeId) -> bool {
        let mut at = id;
        // A damaged database may hold a cycle; a path longer than the map is one.
        for _ in 0..=self.parents.len() {
            match at {
                NodeId::ROOT => return true,
                reserved if reserved.is_reserved() => return false,
                _ => {}
            }
            match self.parents.get(&at) {
                Some(Some(parent)) => at = *parent,
                _ => return false,
            }
        }
        false
    }

    /// Those of the nodes that stood in the tree.
    pub(super) async fn live(&mut self, ids: &[NodeId]) -> Result<BTreeSet<NodeId>> {
        self.learn_ancestors(ids).await?;
        Ok(ids.iter().copied().filter(|id| self.is_live(*id)).collect())
    }

    async fn is_live_folder(&mut self, folder: NodeId) -> Result<bool> {
        Ok(folder == NodeId::ROOT || self.live(&[folder]).await?.contains(&folder))
    }

    pub(super) async fn ancestors(&mut self, node: NodeId) -> Result<Option<Vec<NodeRow>>> {
        if !self.live(&[node]).await?.contains(&node) {
            return Ok(None);
        }
        let mut ids = Vec::new();
        let mut at = node;
        while let Some(Some(parent)) = self.parents.get(&at)
            && *parent != NodeId::ROOT
        {
            ids.push(*parent);
            at = *parent;
        }
        let mut states = self.states(&ids).await?;
        Ok(Some(ids.iter().filter_map(|id| states.remove(id)).collect()))
    }

    pub(super) async fn child(&mut self, parent: NodeId, key: &NameKey) -> Result<Option<Node>> {
        if !self.is_live_folder(parent).await? {
            return Ok(None);
        }
        self.holder(parent, key).await
    }

    /// The node that had a name in a folder at the position.
    pub(super) async fn child_at(&mut self, parent: NodeId, key: &NameKey) -> Result<Option<Node>> {
        if !self.is_live_folder(parent).await? {
            return Ok(None);
        }
        for statement in [
            query(
                "SELECT node_id FROM node
                 WHERE ns_id = $1 AND parent_id = $2 AND key = $3 AND place_seq <= $4",
            ),
            query(
                "SELECT node_id FROM place_history
                 WHERE ns_id = $1 AND parent_id = $2 AND key = $3 AND seq_from <= $4 AND seq_to > $4",
            ),
        ] {
            let statement = statement
                .bind(self.namespace.get())
                .bind(parent.get())
                .bind(key.as_str().to_owned())
                .bind(self.at);
            if let Some(row) = self.session.optional(statement).await? {
                let id = Columns::of(&row).node_id()?;
                return Ok(self.states(&[id]).await?.remove(&id).map(|row| row.to_node()));
            }
        }
        Ok(None)
    }

    pub(super) async fn last_child(&mut self, parent: NodeId, key: &NameKey) -> Result<Option<Node>> {
        if let Some(node) = self.holder(parent, key).await? {
            return Ok(Some(node));
        }
        let statement = query(
            "SELECT node_id FROM place_history WHERE ns_id = $1 AND parent_id = $2 AND key = $3
             ORDER BY seq_to DESC LIMIT 1",
        )
        .bind(self.namespace.get())
        .bind(parent.get())
        .bind(key.as_str().to_owned());
        let Some(row) = self.session.optional(statement).await? else {
            return Ok(None);
        };
        let id = Columns::of(&row).node_id()?;
        Ok(self.states(&[id]).await?.remove(&id).map(|row| row.to_node()))
    }

    /// The node that has a name in a folder, wherever that is.
    async fn holder(&mut self, parent: NodeId, key: &NameKey) -> Result<Option<Node>> {
        let statement = query(
            "SELECT node_id, parent_id, name, key, kind, size, content, mtime_s, mtime_ns, executable, place_seq,
                 content_seq, attributes_seq, created_seq
             FROM node WHERE ns_id = $1 AND parent_id = $2 AND key = $3",
        )
        .bind(self.namespace.get())
        .bind(parent.get())
        .bind(key.as_str().to_owned());
        match self.session.optional(statement).await? {
            Some(row) => Ok(Some(Columns::of(&row).node()?.to_node())),
            None => Ok(None),
        }
    }

    /// Names that were given up in a folder until the position and were free then; one more than `limit`.
    pub(super) async fn vacated(
        &mut self,
        parent: NodeId,
        after: Option<&NameKey>,
        limit: usize,
    ) -> Result<Vec<NodeName>> {
        if !self.is_live_folder(parent).await? {
            return Ok(Vec::new());
        }
        // The last one who gave a name up spelled it last: the index holds them in that order.
        let statement = query(
            "SELECT h.name FROM place_history h
             WHERE h.ns_id = $1 AND h.parent_id = $2 AND h.key > $3 AND h.seq_to <= $4
                 AND NOT EXISTS (SELECT 1 FROM place_history l WHERE l.ns_id = $1
                     AND l.parent_id = h.parent_id AND l.key = h.key AND l.seq_to > h.seq_to
                     AND l.seq_from <= $4)
                 AND NOT EXISTS (SELECT 1 FROM node n WHERE n.ns_id = $1
                     AND n.parent_id = h.parent_id AND n.key = h.key AND n.place_seq <= $4)
             ORDER BY h.key LIMIT $5",
        )
        .bind(self.namespace.get())
        .bind(parent.get())
        .bind(after.map_or("", NameKey::as_str).to_owned())
        .bind(self.at)
        .bind(one_more(limit));
        let mut names = Vec::new();
        for row in self.session.all(statement).await? {
            names.push(Columns::of(&row).name()?);
        }
        Ok(names)
    }

    pub(super) async fn children(
        &mut self,
        parent: NodeId,
        after: Option<&NameKey>,
        limit: usize,
    ) -> Result<NodePage> {
        if !self.is_live_folder(parent).await? {
            return Ok(page(Vec::new(), limit));
        }
        let after = after.map_or("", NameKey::as_str);
        let mut found = BTreeMap::new();
        let current = query(
            "SELECT key, node_id FROM node WHERE ns_id = $1 AND parent_id = $2 AND key > $3 AND place_seq <= $4
             ORDER BY key LIMIT $5",
        );
        self.collect_children(current, parent, after, limit, &mut found)
            .await?;
        if self.at != NOW {
            let past = query(
                "SELECT key, node_id FROM place_history
                 WHERE ns_id = $1 AND parent_id = $2 AND key > $3 AND seq_from <= $4 AND seq_to > $4
                 ORDER BY key LIMIT $5",
            );
            self.collect_children(past, parent, after, limit, &mut found)
                .await?;
        }
        let ids: Vec<NodeId> = found.into_values().take(limit.saturating_add(1)).collect();
        self.page_of(ids, limit).await
    }

    async fn collect_children(
        &mut self,
        statement: Query<'_>,
        parent: NodeId,
        after: &str,
        limit: usize,
        found: &mut BTreeMap<String, NodeId>,
    ) -> Result<()> {
        let statement = statement
            .bind(self.namespace.get())
            .bind(parent.get())
            .bind(after.to_owned())
            .bind(self.at)
            .bind(one_more(limit));
        for row in self.session.all(statement).await? {
            let mut columns = Columns::of(&row);
            found.insert(columns.text()?.to_owned(), columns.node_id()?);
        }
        Ok(())
    }

    /// The nodes of a page in the order of `ids`; one more than `limit` says that there is more.
    async fn page_of(&mut self, mut ids: Vec<NodeId>, limit: usize) -> Result<NodePage> {
        let has_more = ids.len() > limit;
        ids.truncate(limit);
        let mut states = self.states(&ids).await?;
        let nodes = ids
            .iter()
            .filter_map(|id| states.remove(id))
            .map(|row| row.to_node());
        Ok(NodePage {
            nodes: nodes.collect(),
            has_more,
        })
    }

    pub(super) async fn everything(&mut self, after: Option<NodeId>, limit: usize) -> Result<NodePage> {
        let mut found = Vec::new();
        let mut after = after.map_or(0, NodeId::get);
        while found.len() <= limit {
            let statement = query(
                "SELECT node_id FROM node WHERE ns_id = $1 AND created_seq <= $2 AND node_id > $3
                 ORDER BY node_id LIMIT $4",
            )
            .bind(self.namespace.get())
            .bind(self.at)
            .bind(after)
            .bind(one_more(limit));
            let mut ids = Vec::new();
            for row in self.session.all(statement).await? {
                ids.push(Columns::of(&row).node_id()?);
            }
            let Some(last) = ids.last() else {
                break;
            };
            after = last.get();
            found.extend(self.live(&ids).await?);
        }
        found.truncate(limit.saturating_add(1));
        self.page_of(found, limit).await
    }

    pub(super) async fn subtree(
        &mut self,
        folder: NodeId,
        after: Option<NodeId>,
        limit: usize,
    ) -> Result<NodePage> {
        if folder == NodeId::ROOT {
            return self.everything(after, limit).await;
        }
        if !self.is_live_folder(folder).await? {
            return Ok(page(Vec::new(), limit));
        }
        let after = after.map_or(0, NodeId::get);
        let mut found: BTreeSet<NodeId> = BTreeSet::new();
        let mut level = vec![folder];
        while !level.is_empty() {
            let mut deeper = Vec::new();
            for list in lists(&level) {
                for (id, kind) in self.children_of_all(&list).await? {
                    if kind == NodeKind::Directory {
                        deeper.push(id);
                    }
                    if id.get() > after {
                        found.insert(id);
                    }
                    // Only the page is kept, however large the subtree is.
                    if found.len() > limit.saturating_add(1) {
                        found.pop_last();
                    }
                }
            }
            level = deeper;
        }
        self.page_of(found.into_iter().collect(), limit).await
    }

    async fn children_of_all(&mut self, parents: &[NodeId]) -> Result<Vec<(NodeId, NodeKind)>> {
        let mut statements = vec![query_list(
            "SELECT node_id, kind FROM node WHERE ns_id = $1 AND place_seq <= $2 AND parent_id IN ({list})",
            3,
            parents.len(),
        )];
        if self.at != NOW {
            statements.push(query_list(
                "SELECT node_id, kind FROM place_history
                 WHERE ns_id = $1 AND seq_from <= $2 AND seq_to > $2 AND parent_id IN ({list})",
                3,
                parents.len(),
            ));
        }
        let mut found = Vec::new();
        for statement in statements {
            let statement = self.bind(statement, parents);
            self.session
                .each(statement, |row| {
                    let mut columns = Columns::of(&row);
                    found.push((columns.node_id()?, columns.kind()?));
                    Ok(())
                })
                .await?;
        }
        Ok(found)
    }

    /// Lists what lies in the trash itself, by node id.
    pub(super) async fn trashed(&mut self, after: Option<NodeId>, limit: usize) -> Result<NodePage> {
        let statement = query(
            "SELECT node_id FROM node WHERE ns_id = $1 AND parent_id = 2 AND key > $2 ORDER BY key LIMIT $3",
        )
        .bind(self.namespace.get())
        .bind(after.map_or(String::new(), crate::row::trash_key))
        .bind(one_more(limit));
        let mut ids = Vec::new();
        for row in self.session.all(statement).await? {
            ids.push(Columns::of(&row).node_id()?);
        }
        self.page_of(ids, limit).await
    }
}

fn page(nodes: Vec<Node>, limit: usize) -> NodePage {
    NodePage {
        has_more: nodes.len() > limit,
        nodes,
    }
}

fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

/// Lists the states of a node's content, newest first.
pub(super) async fn revisions(
    session: &mut Session<'_>,
    namespace: NamespaceId,
    node: NodeId,
    before: Option<Seq>,
    limit: usize,
) -> Result<NodePage> {
    let before = position(before);
    let mut tree = Tree::new(session, namespace, None);
    let Some(current) = tree.states(&[node]).await?.remove(&node) else {
        return Ok(page(Vec::new(), limit));
    };
    let mut nodes = Vec::new();
    if current.content_seq.get() < before {
        nodes.push(current.to_node());
    }
    let statement = query(
        "SELECT kind, size, content, mtime_s, mtime_ns, executable, seq_from, attributes_seq FROM content_history
         WHERE ns_id = $1 AND node_id = $2 AND seq_from < $3
         ORDER BY seq_from DESC LIMIT $4",
    )
    .bind(namespace.get())
    .bind(node.get())
    .bind(before)
    .bind(one_more(limit));
    for row in session.all(statement).await? {
        let mut columns = Columns::of(&row);
        let mut past = current.clone();
        past.content = columns.content()?;
        past.attributes = columns.attributes()?;
        past.content_seq = columns.seq()?;
        past.attributes_seq = columns.seq()?;
        nodes.push(past.to_node());
    }
    let has_more = nodes.len() > limit;
    nodes.truncate(limit);
    Ok(NodePage { nodes, has_more })
}
