//! stub
use super::census::Counting;
use super::fault::Kind;
use super::field::*;
use super::plan::Plan;
use super::tasks::Process;
use crate::embedded::ClockJump;
use quorlock::Builder;
use std::time::Duration;
pub(super) struct WireField;
impl WireField {
    pub(super) fn start(_: &Plan, _: &Counting) -> Self {
        Self
    }
}
impl Field for WireField {
    fn builder(&self, _: usize, _: &Process) -> Builder {
        todo!()
    }
    fn client_died(&self, _: usize) {
        todo!()
    }
    fn client_resumed(&self, _: usize) {
        todo!()
    }
    fn freeze(&self, _: usize) -> bool {
        todo!()
    }
    fn thaw(&self, _: usize) {
        todo!()
    }
    fn crash(&self, _: usize, _: Memory) -> bool {
        todo!()
    }
    fn restart(&self, _: usize) {
        todo!()
    }
    fn wipe(&self, _: usize) {
        todo!()
    }
    fn jump_clock(&self, _: usize, _: Duration, _: ClockJump) {
        todo!()
    }
    fn set_clock_rate(&self, _: usize, _: f64) {
        todo!()
    }
    fn fail(&self, _: usize, _: Failing) {
        todo!()
    }
    fn flush_scripts(&self, _: usize) {
        todo!()
    }
    fn cut(&self, _: usize, _: usize, _: Flow, _: Flow) {
        todo!()
    }
    fn disconnect(&self, _: usize, _: usize) {
        todo!()
    }
    fn has_weather(&self) -> bool {
        true
    }
    fn weather(&self, _: Kind, _: usize, _: usize, _: Duration) -> bool {
        todo!()
    }
    fn keys(&self, _: usize) -> Vec<Key> {
        todo!()
    }
    fn is_excused(&self, _: usize, _: &Key) -> bool {
        todo!()
    }
}
