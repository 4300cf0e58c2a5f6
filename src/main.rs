//! The process: reads the settings, serves until told to stop.

fn main() {}
