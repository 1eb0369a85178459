// Package lazyregexp is regular expressions that are compiled when they are first used, so that a program does not wait at its start for those which it will not need.
// Standard Go keeps a package of the same name for itself; the methods are those of regexp.Regexp, as many as are asked for here.
package lazyregexp
