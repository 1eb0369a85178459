package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"time"

	"github.com/proviso-dev/proviso"
)

// Approvals keeps requests for approval in a SQLite file of their own, apart from the journal, so that guards, doors and people at a shell share it: any number of processes may write.
// Every change is one transaction that is durable before the method returns. It has the methods of Approvals of package guard, whose contract test it passes.
type Approvals struct {
	db   *sql.DB
	path string
}

// approvalsApplication marks the file for programs that look at SQLite files.
const approvalsApplication = 0x50565341

const approvalsVersion = 1

// approvalFound bounds what Find returns.
const approvalFound = 16

// OpenApprovals opens a store of approvals, and creates it where create is set and there is none. Errors are *Error.
func OpenApprovals(path string, create bool) (*Approvals, error) {
	if _, err := os.Stat(path); err != nil && (!create || !errors.Is(err, fs.ErrNotExist)) {
		return nil, notStore(path, "cannot be opened: "+cause(err))
	}
	db, err := sql.Open("sqlite", source(path, "_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=trusted_schema(0)"))
	if err != nil {
		return nil, failure("open "+path, err)
	}
	db.SetMaxOpenConns(4)
	a := &Approvals{db, path}
	if err := a.identify(context.Background()); err != nil {
		db.Close()
		return nil, err
	}
	return a, nil
}

// identify checks that the file is a store of approvals of this version, and makes an empty file one.
func (a *Approvals) identify(ctx context.Context) error {
	return a.transact(ctx, "open "+a.path, func(tx *sql.Tx) error {
		var app, v, objects int
		if err := tx.QueryRowContext(ctx, "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)").Scan(&app, &v, &objects); err != nil {
			return err
		}
		switch {
		case app == 0 && v == 0 && objects == 0:
		case app != approvalsApplication:
			return notStore(a.path, "is no store of approvals")
		case v != approvalsVersion:
			return notStore(a.path, fmt.Sprintf("is a store of approvals of version %d, this program knows version %d", v, approvalsVersion))
		default:
			return nil
		}
		for _, q := range []string{
			fmt.Sprintf("PRAGMA application_id = %d", approvalsApplication),
			fmt.Sprintf("PRAGMA user_version = %d", approvalsVersion),
			"CREATE TABLE approvals (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, key TEXT NOT NULL, body TEXT NOT NULL) STRICT",
			"CREATE INDEX approvals_key ON approvals (key, n)",
		} {
			if _, err := tx.ExecContext(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
}

// transact runs f in a transaction that holds the file for writing, and makes what SQLite says an *Error.
func (a *Approvals) transact(ctx context.Context, op string, f func(*sql.Tx) error) error {
	tx, err := a.db.BeginTx(ctx, nil)
	if err == nil {
		defer tx.Rollback()
		if err = f(tx); err == nil {
			err = tx.Commit()
		}
	}
	return a.told(ctx, op, err)
}

// told keeps errors that say enough already, and names the operation of others.
func (a *Approvals) told(ctx context.Context, op string, err error) error {
	var own *proviso.ApprovalError
	var told *Error
	switch {
	case err == nil, errors.As(err, &own), errors.As(err, &told):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return failure(op, err)
}

// File puts a request on record, or returns the standing one of the same binding and rules.
func (a *Approvals) File(ctx context.Context, request proviso.Approval) (out proviso.Approval, err error) {
	err = a.transact(ctx, "file an approval", func(tx *sql.Tx) error {
		known, err := find(ctx, tx, "WHERE key = ? ORDER BY n DESC", request.Key())
		if err != nil {
			return err
		}
		for i := range known {
			if k := &known[i]; k.ID == request.ID || k.Same(&request) && k.Standing(request.Asked) {
				out = *k
				return nil
			}
		}
		body, err := proviso.AppendJSON(nil, &request)
		if err != nil {
			return err
		}
		out = request
		_, err = tx.ExecContext(ctx, "INSERT INTO approvals (id, key, body) VALUES (?, ?, ?)", request.ID, request.Key(), string(body))
		return err
	})
	return out, err
}

// queries is what a database and a transaction have in common.
type queries interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func find(ctx context.Context, q queries, where string, args ...any) (out []proviso.Approval, err error) {
	rows, err := q.QueryContext(ctx, "SELECT body FROM approvals "+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var body string
		var x proviso.Approval
		if err := rows.Scan(&body); err != nil {
			return nil, err
		}
		if err := proviso.DecodeStrict(body, &x); err != nil {
			return nil, &Error{Code: CodeIO, Op: "read an approval", Msg: "a record is damaged", Hint: "keep a copy of the file, and go on with a new one", Err: err}
		}
		out = append(out, x)
	}
	return out, rows.Err()
}

// Find returns the newest approvals of a binding, the newest first.
func (a *Approvals) Find(ctx context.Context, b proviso.Binding) ([]proviso.Approval, error) {
	out, err := find(ctx, a.db, "WHERE key = ? ORDER BY n DESC LIMIT ?", b.Key(), approvalFound)
	return out, a.told(ctx, "find an approval", err)
}

// Resolve grants or refuses a request.
func (a *Approvals) Resolve(ctx context.Context, id string, r proviso.Resolution) (proviso.Approval, error) {
	return a.change(ctx, id, func(x *proviso.Approval) error { return x.Resolve(r) })
}

// Spend uses a grant up.
func (a *Approvals) Spend(ctx context.Context, id string, b proviso.Binding, at time.Time) (proviso.Approval, error) {
	return a.change(ctx, id, func(x *proviso.Approval) error { return x.Spend(b, at) })
}

// Get returns one approval.
func (a *Approvals) Get(ctx context.Context, id string) (proviso.Approval, error) {
	found, err := find(ctx, a.db, "WHERE id = ?", id)
	if err == nil && len(found) == 0 {
		err = unknownApproval(id)
	}
	if err != nil {
		return proviso.Approval{}, a.told(ctx, "read an approval", err)
	}
	return found[0], nil
}

func unknownApproval(id string) error {
	return &proviso.ApprovalError{Code: proviso.CodeNoApproval, ID: id, Msg: "there is no such request; list them to see their ids"}
}

// change reads, changes and writes one approval while nobody else can.
func (a *Approvals) change(ctx context.Context, id string, f func(*proviso.Approval) error) (out proviso.Approval, err error) {
	err = a.transact(ctx, "change an approval", func(tx *sql.Tx) error {
		found, err := find(ctx, tx, "WHERE id = ?", id)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return unknownApproval(id)
		}
		if err := f(&found[0]); err != nil {
			return err
		}
		body, err := proviso.AppendJSON(nil, &found[0])
		if err != nil {
			return err
		}
		out = found[0]
		_, err = tx.ExecContext(ctx, "UPDATE approvals SET body = ? WHERE id = ?", string(body), id)
		return err
	})
	if err != nil {
		return proviso.Approval{}, err
	}
	return out, nil
}

// All yields all approvals, the newest first.
func (a *Approvals) All(ctx context.Context) iter.Seq2[proviso.Approval, error] {
	return func(yield func(proviso.Approval, error) bool) {
		all, err := find(ctx, a.db, "ORDER BY n DESC")
		if err != nil {
			yield(proviso.Approval{}, a.told(ctx, "list approvals", err))
			return
		}
		for _, x := range all {
			if !yield(x, nil) {
				return
			}
		}
	}
}

// Close releases the file. After it every method fails.
func (a *Approvals) Close() error { return a.db.Close() }
