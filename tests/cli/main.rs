//! The program as its user meets it: what it says, where it says it, and its exit code. No servers.

mod audit;
mod check;
mod explain;
mod health;
mod help;
mod import;
mod objects;
mod output;
mod rbac;
mod replay;
mod responses;
mod safety;
mod signals;
mod stage;
