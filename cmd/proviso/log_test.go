package main

import (
	dbsql "database/sql"

	"github.com/rogpeppe/go-internal/testscript"
)

// sql runs a statement on a journal's file, as somebody would who wants to change what was written.
func sql(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sql FILE STATEMENT")
	}
	db, err := dbsql.Open("sqlite", "file:"+ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	res, err := db.Exec(args[1])
	ts.Check(err)
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		ts.Fatalf("sql: nothing was changed: %v", err)
	}
}
