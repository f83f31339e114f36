//! The server: surfaces, services and jobs over the two seams.
