//! One HTTP request through the layer: what the store is asked, what the browser gets, and what is left when
//! something fails, hangs up or races.

mod budget;
mod caching;
mod config;
mod failure;
mod hang_up;
mod identity;
mod logging;
mod nested;
mod policies;
mod races;
mod router;
mod support;
