//! Lanes 1 and 2: same format on both sides. Peeking at a body, patching named members, relaying answers with a tap.
