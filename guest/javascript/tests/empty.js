// Nothing: what a component weighs, and how long it takes to start.
