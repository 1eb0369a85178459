// Package commandline is what happens to the command line and the environment of proviso before a command is found: variables that are switched off, and commands that need not be described to the parser.
package commandline
