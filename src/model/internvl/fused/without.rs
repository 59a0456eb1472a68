//! The decoder's fused kernels in a build without CUDA: there are none.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor};

use super::aim::Ends;
use super::config::TextConfig;
use super::decoder_layer::DecoderLayer;
use super::embedding::Embedding;
use super::home::{Home, Homes};
use super::language::Room;
use super::laps::Laps;
use super::looks::Looks;
use super::observe::Observe;
use crate::device::Links;
use crate::model::cache::Rows;
use crate::model::layers::{Linear, Norm, RopeTable};
use crate::model::output::{Choice, PageShares, Want};
use crate::model::runner::Slot;
use crate::model::times::PassTimes;

#[derive(Clone, Copy)]
#[expect(dead_code, reason = "read with the feature `cuda`")]
pub(super) struct Stack<'a> {
    pub(super) embedding: &'a Embedding,
    pub(super) layers: &'a [DecoderLayer],
    pub(super) norm: &'a Norm,
    pub(super) head: &'a Linear,
    pub(super) homes: &'a Homes,
    pub(super) links: &'a Links,
    pub(super) ropes: &'a BTreeMap<usize, RopeTable>,
}

#[derive(Debug, Clone, Copy)]
#[expect(dead_code, reason = "read with the feature `cuda`")]
pub(super) struct DecodeRow<'a> {
    pub(super) slot: Slot,
    pub(super) blocks: &'a [u32],
    pub(super) token: u32,
    pub(super) position: usize,
    pub(super) want: Want<'a>,
}

#[derive(Debug, Clone, Copy)]
#[expect(dead_code, reason = "read with the feature `cuda`")]
pub(super) struct AheadRow<'a> {
    pub(super) slot: Slot,
    pub(super) blocks: &'a [u32],
    pub(super) position: usize,
    pub(super) is_drawn: bool,
}

/// Never made.
pub(super) enum Fused {}

/// Never made.
pub(super) enum Chosen {}

pub(super) struct Decoded {
    pub(super) chosen: Chosen,
    pub(super) logits: Tensor,
    pub(super) was_begun: bool,
    pub(super) times: Option<PassTimes>,
}

/// Never made.
pub(super) enum PageSums {}

impl PageSums {
    pub(super) fn wait(self) -> Result<Vec<PageShares>> {
        match self {}
    }
}

impl Chosen {
    pub(super) fn wait(self) -> Result<Vec<Choice>> {
        match self {}
    }
}

impl Fused {
    #[expect(clippy::unnecessary_wraps, reason = "with the feature `cuda` it allocates")]
    pub(super) fn new(_: &TextConfig, _: &Homes, _: Room) -> Result<Option<Self>> {
        Ok(None)
    }

    pub(super) fn prepare(&mut self, _: &Stack<'_>, _: u32) -> Result<()> {
        match *self {}
    }

    pub(super) fn forward(
        &self,
        _: &Stack<'_>,
        _: &Tensor,
        _: (&[Rows<'_>], Option<&Ends<'_>>),
        _: &mut dyn Observe,
        _: (&mut Laps, &mut Looks<'_>),
    ) -> Result<Option<Tensor>> {
        match *self {}
    }

    pub(super) fn decode(
        &mut self,
        _: &Stack<'_>,
        _: &[DecodeRow<'_>],
        _: &mut Looks<'_>,
    ) -> Result<Option<Decoded>> {
        match *self {}
    }

    pub(super) fn begin_ahead(&mut self, _: &Stack<'_>, _: &[AheadRow<'_>]) -> Result<bool> {
        match *self {}
    }

    pub(super) fn choose(
        &self,
        _: &Tensor,
        _: &Home,
        _: &[Want<'_>],
        _: u32,
    ) -> Result<Option<Chosen>> {
        match *self {}
    }
}
