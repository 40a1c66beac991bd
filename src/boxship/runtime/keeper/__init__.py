"""The keeper: parent of all containers; owns their stdio, logs and exits; outlives the daemon."""
