//! What a run promises to its clients, looked at when they end and when all is over.

use std::collections::{BTreeMap, BTreeSet};

use super::world::{Inner, Pid};
use crate::{
    engine::Delivery,
    error::Result,
    wire::{Closed, Manifest},
};

/// What a client got.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// In the order of their delivery.
    blocks: Vec<u32>,
    bytes: BTreeMap<u32, Vec<u8>>,
    missing: BTreeSet<u32>,
    pub(super) detached: bool,
    pub(super) cancels: bool,
}

impl Inner {
    pub(super) fn note_delivery(&mut self, pid: Pid, delivery: Delivery) {
        let firsts =
            self.audit.manifest.iter().flat_map(|manifest| manifest.blocks()).map(|block| block.first);
        let firsts: Vec<u64> = firsts.collect();
        let client = self.audit.clients.entry(pid).or_default();
        match delivery {
            Delivery::Piece { first, bytes } => {
                let Some(block) = firsts.iter().position(|known| *known == first) else {
                    return self.audit.broken(format_args!("no block begins with chunk {first}"));
                };
                let block = block as u32;
                if client.blocks.last() != Some(&block) {
                    client.blocks.push(block);
                }
                client.bytes.entry(block).or_default().extend(bytes);
            }
            Delivery::Missing { uncounted, .. } => {
                client.blocks.push(uncounted.block);
                client.missing.insert(uncounted.block);
            }
            Delivery::End(_) => {}
        }
    }

    /// A client has come to its end.
    pub(super) fn note_client_end(&mut self, pid: Pid, wanted: Option<bool>, ended: &Result<()>) {
        let client = self.audit.clients.entry(pid).or_default();
        if ended.is_err() || client.detached {
            return;
        }
        let Some(in_order) = wanted else { return };
        let blocks = client.blocks.clone();
        let Some(manifest) = &self.audit.manifest else {
            return self.audit.broken(format_args!("client {pid} is done, and there is no manifest"));
        };
        let firsts: Vec<u64> = manifest.blocks().map(|block| block.first).collect();
        if self.closed_at().is_none() {
            return self.audit.broken(format_args!("client {pid} is done, and the run is not closed"));
        }
        let mut sorted = blocks.clone();
        sorted.sort_unstable();
        if sorted != (0..firsts.len() as u32).collect::<Vec<_>>() {
            self.audit.broken(format_args!("client {pid} is done, and got the blocks {blocks:?}"));
        } else if in_order && !blocks.is_sorted_by_key(|block| firsts[*block as usize]) {
            self.audit.broken(format_args!("client {pid} wanted blocks in order, and got {blocks:?}"));
        }
        self.audit.read = true;
    }

    /// All is over.
    pub(super) fn check_end(&mut self) {
        if self.audit.is_broken() {
            return;
        }
        let keys = self.keys();
        if self.has_manifest() && !self.audit.read {
            self.audit.broken(format_args!("nobody could bring the outcomes home"));
        }
        let Some(closed) = self.read::<Closed>(&keys.closed()) else {
            if self.audit.jobs > 0 {
                self.audit.broken(format_args!("jobs were submitted, and there is no run"));
            }
            return;
        };
        let uncounted: BTreeSet<u32> = closed.uncounted.iter().map(|block| block.block).collect();
        let blocks = self.audit.manifest.as_ref().map_or(0, Manifest::block_count);
        for block in (0..blocks).filter(|block| !uncounted.contains(block)) {
            if !self.objects.contains_key(&keys.out(block)) {
                self.audit.broken(format_args!("block {block} counts, and has no outcomes"));
            }
        }
        let asked = self.audit.clients.values().any(|client| client.cancels);
        if closed.cancelled && !asked {
            self.audit.broken(format_args!("the run was cancelled, and nobody wanted it"));
        }
        if !closed.cancelled && !uncounted.is_empty() && self.plan.must_complete(self.audit.manifest.as_ref())
        {
            self.audit.broken(format_args!(
                "nothing was in the way, and there is no outcome of {:?}",
                closed.uncounted
            ));
        }
        let mut wrong = Vec::new();
        for (pid, client) in &self.audit.clients {
            for (block, bytes) in &client.bytes {
                let object = self.objects.get(&keys.out(*block)).map_or(&[][..], |object| &object.body);
                if uncounted.contains(block) {
                    wrong.push(format!("client {pid} got outcomes of block {block}, which came too late"));
                } else if !object.starts_with(bytes) {
                    wrong.push(format!("client {pid} got other outcomes of block {block} than there are"));
                }
            }
            wrong.extend(client.missing.difference(&uncounted).map(|block| {
                format!("client {pid} was told that block {block} has no outcomes, and it has")
            }));
        }
        wrong.into_iter().for_each(|wrong| self.audit.broken(format_args!("{wrong}")));
    }
}
