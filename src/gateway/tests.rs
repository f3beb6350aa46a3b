//! Tests of the whole room, over real stores and a provider that does as it is told.

mod model;
