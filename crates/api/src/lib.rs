//! The wire types of Cairn's protocols, shared by server and client.
