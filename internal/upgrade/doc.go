// Package upgrade is what an upgrade of the enterprise cluster is to those who
// plan it, show it and carry it out: its plan, the values that it sets, and how
// far a run is. The installer fills these in, the console and the command line
// show them; neither knows the other.
//
// Values are settings that a release has defaults for and administrators may
// change: those of the console's chart below /console, the sizes of machines
// below /cluster. They are compared three ways: as the last upgrade set them
// (before), as they are now (live), and as the new release and the site have
// them (after). What only one side changed is taken from that side; what both
// changed to different values is a conflict, and a person chooses.
package upgrade
