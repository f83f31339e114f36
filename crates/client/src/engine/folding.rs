//! Disks to which names in another case, or another normal form, are one name.

use std::sync::Arc;

use cairn_core::planner::Step;
use cairn_core::tree::Neighbourhood;

use super::{Engine, EngineResult};
use crate::state::LocalRow;

impl Engine {
    /// What a step comes to on this disk. A node may keep its name here and travel under another one only where the disk
    /// holds both names side by side; where both are one name to the disk, the node is renamed here too. The disk is asked
    /// each time: folders of one disk may differ in this.
    pub(super) async fn as_this_disk_can(&self, hood: &Neighbourhood, step: Step) -> EngineResult<Step> {
        let Step::NameForServer { node, name } = &step else {
            return Ok(step);
        };
        let Some(row) = self.state.local(self.namespace, *node).await? else {
            return Ok(step);
        };
        if self.has_the_name_of_another(hood, &row).await? {
            return Ok(Step::RenameAside {
                node: *node,
                name: name.clone(),
            });
        }
        Ok(step)
    }

    /// Whether a name that the server has for another node leads to this one on the disk.
    async fn has_the_name_of_another(&self, hood: &Neighbourhood, row: &LocalRow) -> EngineResult<bool> {
        let place = &row.entry.place;
        let other = hood.remote.other_child(place.parent, &place.name, row.node);
        let Some(other) = other.and_then(|other| hood.remote.get(other)) else {
            return Ok(false);
        };
        let path = self.path_of(row.node).await?;
        let path = path.parent().unwrap_or_default().join(other.place.name.as_str());
        let fs = Arc::clone(&self.fs);
        let found = self.runtime.blocking(move || fs.metadata(&path)).await;
        // What cannot be looked at stops the step that needs the name, which tells it.
        Ok(matches!(found, Ok(Some(found)) if found.fingerprint.is_same_file(&row.fingerprint)))
    }
}
