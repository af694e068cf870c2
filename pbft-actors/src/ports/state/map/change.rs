use super::alloc::PagesMut;
use super::node::{Node, NodeMut, ROOM_BYTES, SLOT_BYTES, cell, key_of, number_of};
use super::overflow::layout;
use super::tree::{LEN, Path, ROOT, Step, Tree};
use super::{KEY_BYTES_MAX, MAP_VALUE_BYTES_MAX};
use crate::ports::state::StateError;
use crate::ports::state::page::put_at;

/// A node with fewer bytes in use than this is merged with a neighbour, if both fit one page.
const MERGE_BELOW_BYTES: usize = ROOM_BYTES / 3;

/// A B-tree to be changed. Each change checks first that it will find the pages it may need, so
/// that it is done in full or refused.
pub(in crate::ports::state) struct TreeMut<'a> {
    pages: PagesMut<'a>,
    head: u32,
}

/// An insertion that was found to be possible.
struct Plan {
    path: Path,
    /// Most pages it can take.
    needed: u64,
    /// Pages that it gives back before.
    returned: u64,
}

/// A node that was cut in two: the least key of the second, and its page.
struct Cut {
    key: Vec<u8>,
    page: u32,
}

impl<'a> TreeMut<'a> {
    /// The tree whose root is named in page `head`.
    pub(in crate::ports::state) fn new(pages: PagesMut<'a>, head: u32) -> Self {
        Self { pages, head }
    }

    pub(super) fn read(&self) -> Tree<'_> {
        Tree::new(self.pages.read(), self.head)
    }

    /// Most pages that inserting would take.
    pub(super) fn pages_needed(&self, key: &[u8], value: &[u8]) -> Result<u64, StateError> {
        Ok(self.plan(key, value)?.needed)
    }

    /// Inserts, or replaces the value.
    pub(in crate::ports::state) fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        let Plan { path, needed, returned } = self.plan(key, value)?;
        self.pages.read().check_available(needed.saturating_sub(returned))?;
        if path.found {
            self.replace(&path, key, value);
            return Ok(());
        }
        let cell = self.entry_cell(key, value);
        self.insert_cell(&path.steps, &cell);
        self.set_len(self.read().len() + 1);
        Ok(())
    }

    /// Removes a key; its value.
    pub(in crate::ports::state) fn remove(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        let path = self.read().path(key);
        let leaf = path.steps.last().filter(|_| path.found).copied()?;
        let value = self.pages.read().value(self.read().node(leaf.page).entry(leaf.slot)).into_owned();
        self.free_entry(leaf);
        NodeMut::of(self.pages.page_mut(leaf.page)).remove(leaf.slot);
        self.set_len(self.read().len() - 1);
        self.shrink(&path.steps);
        Some(value)
    }

    /// Removes every entry and gives back every page but the head.
    pub(super) fn clear(&mut self) {
        let mut waiting = Vec::from_iter(Some(self.read().root()).filter(|&root| root != 0));
        while let Some(page) = waiting.pop() {
            let node = self.read().node(page);
            let (cells, is_leaf) = (node.count(), node.is_leaf());
            if is_leaf {
                (0..cells).for_each(|slot| self.free_entry(Step { page, slot }));
            } else {
                waiting.extend((0..=cells).map(|slot| node.child(slot)));
            }
            self.pages.give_back(page);
        }
        self.set_root(0);
        self.set_len(0);
    }

    fn plan(&self, key: &[u8], value: &[u8]) -> Result<Plan, StateError> {
        check_lengths(key, value)?;
        let tree = self.read();
        let path = tree.path(key);
        let layout = layout(key.len(), value.len());
        let mut needed = layout.pages as u64;
        let mut returned = 0;
        let Some(leaf) = path.steps.last() else { return Ok(Plan { path, needed: needed + 1, returned }) };
        let node = tree.node(leaf.page);
        let mut room = node.free_bytes();
        if path.found {
            returned = overflow_pages(node, leaf.slot) as u64;
            room += node.cell(leaf.slot).len() + SLOT_BYTES;
        }
        if layout.cell_bytes(key.len()) + SLOT_BYTES > room {
            // Every node on the way may be cut, and the root gets a new one above it.
            needed += path.steps.len() as u64 + 1;
        }
        Ok(Plan { path, needed, returned })
    }

    fn replace(&mut self, path: &Path, key: &[u8], value: &[u8]) {
        let leaf = path.steps.last().copied().expect("a key that was found is in a leaf");
        self.free_entry(leaf);
        let cell = self.entry_cell(key, value);
        let mut node = NodeMut::of(self.pages.page_mut(leaf.page));
        if node.read().cell(leaf.slot).len() == cell.len() {
            return node.overwrite(leaf.slot, &cell);
        }
        node.remove(leaf.slot);
        self.insert_cell(&path.steps, &cell);
        // If the leaf was cut, it kept half or more, so that the path, which may be stale then, is
        // followed no further than the leaf.
        self.shrink(&path.steps);
    }

    /// Writes a value's overflow pages; its cell.
    fn entry_cell(&mut self, key: &[u8], value: &[u8]) -> Vec<u8> {
        let layout = layout(key.len(), value.len());
        let value_bytes = u32::try_from(value.len()).expect("a map refuses longer values");
        let (local, rest) = value.split_at(layout.local_bytes);
        let mut cell = cell(key, value_bytes);
        cell.extend_from_slice(local);
        if layout.pages > 0 {
            cell.extend_from_slice(&self.pages.write_overflow(rest).to_le_bytes());
        }
        cell
    }

    /// Inserts a cell in the last node of a path, cutting as many nodes as it takes.
    fn insert_cell(&mut self, path: &[Step], cell: &[u8]) {
        let Some((&step, above)) = path.split_last() else {
            let root = self.pages.take();
            NodeMut::leaf(self.pages.page_mut(root), &[cell]);
            return self.set_root(root);
        };
        if cell.len() + SLOT_BYTES <= self.read().node(step.page).free_bytes() {
            return NodeMut::of(self.pages.page_mut(step.page)).insert(step.slot, cell);
        }
        let at_end = path.iter().all(|step| step.slot == self.read().node(step.page).count());
        let cut = self.cut(step, cell, at_end);
        let cell = self::cell(&cut.key, cut.page);
        if above.is_empty() {
            let root = self.pages.take();
            NodeMut::branch(self.pages.page_mut(root), step.page, &[&cell]);
            return self.set_root(root);
        }
        self.insert_cell(above, &cell);
    }

    /// Cuts a node in two halves, with a cell inserted. At the end of the tree the first half keeps
    /// all it had, so that ascending keys fill their pages.
    fn cut(&mut self, step: Step, cell: &[u8], at_end: bool) -> Cut {
        let second = self.pages.take();
        let old = *self.pages.read().page(step.page);
        let old = Node::of(&old);
        let mut cells: Vec<&[u8]> = (0..old.count()).map(|at| old.cell(at)).collect();
        cells.insert(step.slot, cell);
        let (left, right) = cells.split_at(if at_end { cells.len() - 1 } else { middle(&cells) });
        let (&before, (&first, rest)) =
            left.last().zip(right.split_first()).expect("a node that is too full has four cells or more");
        if old.is_leaf() {
            NodeMut::leaf(self.pages.page_mut(step.page), left);
            NodeMut::leaf(self.pages.page_mut(second), right);
            return Cut { key: separator(key_of(before), key_of(first)).to_vec(), page: second };
        }
        NodeMut::branch(self.pages.page_mut(step.page), old.child(0), left);
        NodeMut::branch(self.pages.page_mut(second), number_of(first), rest);
        Cut { key: key_of(first).to_vec(), page: second }
    }

    /// Drops or merges the nodes of a path that became empty or small, from the leaf up.
    fn shrink(&mut self, path: &[Step]) {
        for pair in path.windows(2).rev() {
            let &[parent, child] = pair else { break };
            let node = self.read().node(child.page);
            if node.is_empty() {
                NodeMut::of(self.pages.page_mut(parent.page)).remove_child(parent.slot);
                self.pages.give_back(child.page);
            } else if node.used_bytes() >= MERGE_BELOW_BYTES || !self.merge_with_neighbour(parent) {
                break;
            }
        }
        self.lower_root();
    }

    /// Merges the child of a step with the one before or after it; whether one of them fitted.
    fn merge_with_neighbour(&mut self, parent: Step) -> bool {
        let last = self.read().node(parent.page).count();
        let before = parent.slot.checked_sub(1);
        before.is_some_and(|slot| self.merge(parent.page, slot))
            || parent.slot < last && self.merge(parent.page, parent.slot)
    }

    /// Merges the children in places `slot` and `slot + 1` of a branch, if they fit one page.
    fn merge(&mut self, parent: u32, slot: usize) -> bool {
        let branch = self.read().node(parent);
        let (left, right) = (branch.child(slot), branch.child(slot + 1));
        let second = self.read().node(right);
        // Two branches have between them the key that set them apart.
        let between = (!second.is_leaf()).then(|| cell(branch.key(slot), second.child(0)));
        let needed = second.used_bytes() + between.as_ref().map_or(0, |cell| cell.len() + SLOT_BYTES);
        if needed > self.read().node(left).free_bytes() {
            return false;
        }
        let second = *self.pages.read().page(right);
        let second = Node::of(&second);
        let mut first = NodeMut::of(self.pages.page_mut(left));
        for cell in between.as_deref().into_iter().chain((0..second.count()).map(|at| second.cell(at))) {
            first.insert(first.read().count(), cell);
        }
        NodeMut::of(self.pages.page_mut(parent)).remove_child(slot + 1);
        self.pages.give_back(right);
        true
    }

    /// Makes the only child of a root the root, and an empty root none.
    fn lower_root(&mut self) {
        loop {
            let root = self.read().root();
            if root == 0 {
                return;
            }
            let node = self.read().node(root);
            if node.count() > 0 {
                return;
            }
            let below = if node.is_leaf() { 0 } else { node.child(0) };
            self.set_root(below);
            self.pages.give_back(root);
        }
    }

    /// Gives back the overflow pages of an entry.
    fn free_entry(&mut self, leaf: Step) {
        let node = self.read().node(leaf.page);
        let (first, count) = (node.entry(leaf.slot).overflow, overflow_pages(node, leaf.slot));
        self.pages.free_overflow(first, count);
    }

    fn set_root(&mut self, root: u32) {
        put_at(self.pages.page_mut(self.head), ROOT, &root.to_le_bytes());
    }

    fn set_len(&mut self, len: u64) {
        put_at(self.pages.page_mut(self.head), LEN, &len.to_le_bytes());
    }
}

/// Most pages that the first entry of a tree takes.
pub(super) fn pages_of_first(key: &[u8], value: &[u8]) -> Result<u64, StateError> {
    check_lengths(key, value)?;
    Ok(layout(key.len(), value.len()).pages as u64 + 1)
}

fn check_lengths(key: &[u8], value: &[u8]) -> Result<(), StateError> {
    if key.len() > KEY_BYTES_MAX {
        return Err(StateError::KeyTooLong { length: key.len(), limit: KEY_BYTES_MAX });
    }
    if value.len() > MAP_VALUE_BYTES_MAX {
        return Err(StateError::ValueTooLong { length: value.len(), limit: MAP_VALUE_BYTES_MAX });
    }
    Ok(())
}

fn overflow_pages(node: Node<'_>, cell: usize) -> usize {
    layout(node.key(cell).len(), node.entry(cell).value_bytes).pages
}

/// Bytes that cells and their places take.
fn cells_bytes(cells: &[&[u8]]) -> usize {
    cells.iter().map(|cell| cell.len() + SLOT_BYTES).sum()
}

/// How many of the cells make the first half, by bytes. Never all: the last alone is no half.
fn middle(cells: &[&[u8]]) -> usize {
    let half = cells_bytes(cells) / 2;
    let mut bytes = 0;
    let before = cells.iter().take_while(|cell| {
        bytes += cell.len() + SLOT_BYTES;
        bytes < half
    });
    before.count() + 1
}

/// The shortest key above `left` and not above `right`.
fn separator<'k>(left: &[u8], right: &'k [u8]) -> &'k [u8] {
    let common = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    right.get(..=common).expect("keys ascend, so the second has a byte that the first lacks")
}
