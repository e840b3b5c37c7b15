//! Tables and partial object metadata: the other shapes of an answer.
