//! Batches of frames for long-polling. Pure.

use crate::protocol::MAX_FRAME_BYTES;
use std::collections::VecDeque;

/// The body of the next request: a JSON array of as many waiting frames as fit into
/// [`MAX_FRAME_BYTES`]; `None` if no frame waits.
pub fn next_batch(waiting: &mut VecDeque<String>) -> Option<String> {
    let mut body = String::from("[");
    body.push_str(&waiting.pop_front()?);
    while let Some(frame) = waiting.front()
        && body.len() + frame.len() + ",]".len() <= MAX_FRAME_BYTES
    {
        body.push(',');
        body.push_str(frame);
        waiting.pop_front();
    }
    body.push(']');
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_go_together_in_order_as_far_as_they_fit() {
        let mut waiting = VecDeque::new();
        assert_eq!(next_batch(&mut waiting), None);
        waiting.extend(["{}", "1", "[2]"].map(str::to_owned));
        assert_eq!(next_batch(&mut waiting).as_deref(), Some("[{},1,[2]]"));
        let half = "x".repeat(MAX_FRAME_BYTES / 2);
        let rest = "y".repeat(MAX_FRAME_BYTES / 2 - 3);
        waiting.extend([half.clone(), rest, half.clone(), half]);
        let sizes = std::iter::from_fn(|| next_batch(&mut waiting).map(|body| body.len()));
        let half = MAX_FRAME_BYTES / 2 + 2;
        assert_eq!(sizes.collect::<Vec<_>>(), [MAX_FRAME_BYTES, half, half]);
    }
}
