//! Who may come in: people, their sessions and roles, workspaces, agents' tokens and REST keys.

pub mod accounts;
pub mod bootstrap;
mod directory_acts;
pub mod identify;
pub mod keys;
pub mod members;
pub mod own_mail;
pub mod passwords;
pub mod people;
pub mod scope;
pub mod security;
pub mod settings;
mod workspace_deletion;
pub mod workspaces;
