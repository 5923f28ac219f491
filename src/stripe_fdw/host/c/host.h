/*
 * The bundled host: PostgreSQL's side of stripe-fdw.
 *
 * Python has the foreign tables, PostgreSQL runs queries, and this extension stands between them.  Three
 * rules keep the two apart, and every file here obeys them:
 *
 * 1. An SQL error is a longjmp, and must never jump over a frame of Python's.  What Python calls
 *    (server_module.c) catches it and gives Python an exception instead; the SQL error is raised again once
 *    Python has unwound.
 * 2. The interpreter's lock (GIL) is held between python_enter() and python_leave() only, so Python's threads
 *    run whenever PostgreSQL does.  Code between them may raise SQL errors if it is in PG_TRY .. PG_FINALLY.
 * 3. References are never dropped by hand.  own_reference() gives one to the innermost python_enter(), whose
 *    python_leave() drops it, error or not; what lives longer is held by a Holder (references.c) that a
 *    memory context drops when it is reset, since PostgreSQL calls no End functions after an error.
 *
 * Written for PostgreSQL 14 to 18 and Python 3.11 to 3.13.
 */
#ifndef STRIPE_FDW_HOST_H
#define STRIPE_FDW_HOST_H

/* Python.h must come first; the Makefile makes both "system" headers for the compiler. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <datetime.h>
#undef DATETIME_H				/* the guard of PostgreSQL's utils/datetime.h as well */

#include "postgres.h"

#include "access/tupdesc.h"
#include "commands/explain.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif
#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#if PG_VERSION_NUM < 140000
#error "stripe_fdw needs PostgreSQL 14 or later"
#endif
#if PY_VERSION_HEX < 0x030b0000
#error "stripe_fdw needs Python 3.11 or later"
#endif

/* PostgreSQL 18 renamed its own macro. */
#define NORETURN __attribute__((noreturn))

/* ---- interpreter.c: the interpreter of one venv, and the bridge in it ---- */

typedef struct PythonEntry
{
	PyGILState_STATE gil;
	Py_ssize_t	owned;			/* how many references the outer entries own */
} PythonEntry;

/* Whether this module has started Python in this session, or has tried to. */
extern bool python_runs_here(void);
extern bool python_is_preloaded(void);
extern void python_preload(void);
extern void python_enter(PythonEntry *entry);
extern void python_leave(PythonEntry *entry);

/* Call one of bridge.py's functions.  "arguments" are Py_BuildValue()'s: a tuple.  The result is owned. */
extern PyObject *bridge_call(const char *function, PyObject *arguments);

/* ---- server_module.c: the module that Python calls ---- */

extern PyObject *PyInit__stripe_fdw_host(void);

/* ---- errors.c: Python's exceptions as SQL errors ---- */

NORETURN extern void throw_python_error(void);
extern bool is_own_error(ErrorData *error);
extern void explain_pending_error(void);
extern void set_explain_function(PyObject *function);

/* A new reference becomes the innermost entry's.  NULL means that Python raised: an SQL error follows. */
extern PyObject *own_reference(PyObject *reference);

/* ---- pending_error.c: SQL errors that wait until Python has unwound ---- */

extern bool error_is_pending(void);
extern void keep_pending_error(MemoryContext old);
extern void throw_pending_error(void);
extern void return_pending_error(void);
extern bool pending_error_is_bare(void);
extern void add_to_pending_error(char *detail, char *hint);

/* ---- error_stack.c: PostgreSQL's stack of errors while one is handled ---- */

extern bool error_is_handled(int *sqlstate);
extern void without_error(void (*step) (void *), void *argument);

/* ---- text.c ---- */

extern char *python_text(PyObject *text);
extern char *message_text(PyObject *text);
extern char *server_encoded(const char *utf8);
extern char *client_text(const char *text);
extern PyObject *text_to_python(const char *text);
extern PyObject *exact_text_to_python(char *text);

/* ---- owned.c: references of Python entries ---- */

extern Py_ssize_t count_owned(void);
extern bool add_owned(PyObject *reference);
extern void drop_owned(Py_ssize_t count);

/* ---- references.c: references that live as long as a memory context ---- */

typedef struct Holder
{
	PyObject   *table;			/* tables.base.Table */
	PyObject   *scan;			/* of the running scan, or NULL */
	PyObject   *batch;			/* the scan's latest batch, a tuple, or NULL */
	PyObject   *statistics;		/* what scans before this one have done, or NULL */
	PyObject   *cost;			/* of a node that writes: what counts its requests, or NULL */
	bool		in_statement;	/* begin_statement() was called, and end_statement() not yet */
	MemoryContextCallback callback;
} Holder;

extern Holder *make_holder(MemoryContext context);
extern void hold(PyObject **place, PyObject *reference);
extern Py_ssize_t executor_run(Holder *holder);
extern void begin_statement(Holder *holder);
extern PyObject *scan_statistics(Holder *holder);
extern void close_scan(Holder *holder);
extern void end_statement(Holder *holder);

/* ---- options.c: options and columns from the catalogs ---- */

extern PyObject *options_to_python(List *options);
extern PyObject *open_table(Oid relid, Oid userid);
extern Oid	scan_user(EState *estate, ForeignScan *plan);

/* ---- datums.c: Datum to Python ---- */

typedef enum ValueFamily
{
	FAMILY_NONE,				/* conditions on it are left to PostgreSQL */
	FAMILY_TEXT,
	FAMILY_INTEGER,
	FAMILY_FLOAT,
	FAMILY_NUMERIC,
	FAMILY_BOOLEAN,
	FAMILY_TIMESTAMPTZ,
	FAMILY_DATE,
	FAMILY_JSONB
} ValueFamily;

extern ValueFamily family_of(Oid type);
extern PyObject *datum_to_python(Datum value, Oid type);
extern PyObject *any_datum_to_python(Datum value, Oid type);
extern PyObject *array_to_python(Datum value, Oid element_type);

/* ---- values.c and parse.c: Python to Datum ---- */

typedef struct ColumnReader ColumnReader;
typedef Datum (*ReadValue) (ColumnReader *column, PyObject *value);

struct ColumnReader
{
	ReadValue	read;
	AttrNumber	attnum;
	Oid			type;
	int32		typmod;
	const char *table;
	const char *name;
	FmgrInfo	input;			/* the type's input function */
	Oid			ioparam;
};

extern void prepare_reader(ColumnReader *column, Relation relation, AttrNumber attnum);
extern Datum read_value(ColumnReader *column, PyObject *value, bool *isnull);
extern ReadValue reader_for(Oid type, int32 typmod);
NORETURN extern void value_error(ColumnReader *column, int sqlstate, const char *reason);
NORETURN extern void type_error(ColumnReader *column, PyObject *value);
extern char *server_text(ColumnReader *column, const char *utf8, Py_ssize_t length);
extern Datum read_timestamptz(ColumnReader *column, PyObject *value);
extern Datum read_date(ColumnReader *column, PyObject *value);
extern Datum read_by_input(ColumnReader *column, PyObject *value);

/* ---- quals.c: conditions that can be passed to the table ---- */

typedef enum QualKind
{
	QUAL_VALUE,					/* column operator expression */
	QUAL_ARRAY,					/* column operator ANY/ALL (expressions, arrays or single values) */
	QUAL_TRUE,					/* boolean column */
	QUAL_FALSE,					/* NOT boolean column */
	QUAL_NULL,					/* IS [NOT] NULL */
	QUAL_JSON_VALUE,			/* column ->> keys = expression; the first value is the array of keys */
	QUAL_JSON_ARRAY				/* column ->> keys = ANY, likewise */
} QualKind;

/* A value of a qual, or of LIMIT. */
typedef struct ScanValue
{
	Datum		datum;
	bool		isnull;
	Oid			type;
	const char *placeholder;	/* shown by EXPLAIN instead of a value that is not known, or NULL */
} ScanValue;

typedef struct HostQual
{
	QualKind	kind;
	AttrNumber	attnum;
	char	   *operator;		/* as quals.Qual names it */
	List	   *values;			/* Expr: one of QUAL_VALUE, at least one of QUAL_ARRAY; of JSON after the keys */
	ScanValue  *estimates;		/* of each of them, by estimate_values() */
} HostQual;

extern Var *column_of(RelOptInfo *rel, Expr *node);
extern bool is_fixed(PlannerInfo *root, RelOptInfo *rel, Expr *node);
extern bool collation_agrees(ValueFamily family, const char *operator, Oid collation);
extern Expr *comparable(ValueFamily column, Expr *value);
extern HostQual *make_qual(QualKind kind, AttrNumber attnum, const char *operator, List *values);
extern HostQual *qual_of_clause(PlannerInfo *root, RelOptInfo *rel, Expr *clause);
extern void estimate_values(PlannerInfo *root, List *quals);
extern PyObject *estimated_quals(Oid relid, List *quals);
extern void add_qual(PyObject *quals, Oid relid, AttrNumber attnum, const char *operator, QualKind kind,
					 ScanValue *values, int count);

/* ---- json_quals.c: conditions on what is inside a jsonb column ---- */

extern bool is_json_field(RelOptInfo *rel, Expr *node, AttrNumber attnum);
extern HostQual *json_qual_of_operator(PlannerInfo *root, RelOptInfo *rel, OpExpr *expr);
extern HostQual *json_qual_of_array(PlannerInfo *root, RelOptInfo *rel, ScalarArrayOpExpr *expr);
extern bool compares_texts(HostQual *qual);
extern PyObject *json_path(ScanValue *keys, bool *null);

/* ---- plan.c and paths.c ---- */

typedef struct TablePlan
{
	List	   *quals;			/* HostQual: those of the table alone */
	List	   *local;			/* RestrictInfo: those that are not passed to the table */
	List	   *columns;		/* Integer: attnums that rows must have */
	double		rows;			/* estimated: those that match quals */
	List	   *named;			/* Integer: attnums that the query itself names; 0: the whole row */
	double		width;
	double		seconds;		/* estimated, of a scan with these quals */
	double		seconds_ahead;	/* the same, of one of many scans whose requests are sent ahead */
	int			ahead;			/* values that a nested loop may ask for ahead; 0: none */
	bool		analyzed;		/* ANALYZE has run */
	double	   *rows_per_value;	/* by attnum, see column_statistics.c; NULL: not asked for */
} TablePlan;

extern void ask_size(PlannerInfo *root, RelOptInfo *rel, Oid relid, TablePlan *plan);
extern void GetForeignRelSize(PlannerInfo *root, RelOptInfo *rel, Oid relid);
extern void GetForeignPaths(PlannerInfo *root, RelOptInfo *rel, Oid relid);
extern ForeignScan *GetForeignPlan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path,
								   List *tlist, List *clauses, Plan *outer_plan);
extern bool IsForeignScanParallelSafe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte);
extern PyObject *column_names(Oid relid, List *attnums);
extern Oid	planned_user(RelOptInfo *rel, RangeTblEntry *rte);

/* How a plan is written into ForeignScan.fdw_private. */
enum PlanPart
{
	PLAN_COLUMNS,				/* Integer attnum, ... */
	PLAN_QUALS,					/* (attnum, operator, kind, indexes in fdw_exprs ...), ... */
	PLAN_SORT,					/* (attnum, descending, nulls first, collation), ... */
	PLAN_LIMIT,					/* index in fdw_exprs of LIMIT and of OFFSET, or -1 */
	PLAN_FRESH,					/* 0; 1: rows will be locked, so no old answer may serve; 2: or changed */
	PLAN_NAMED,					/* Integer attnum, ..., 0 for the whole row: what the query itself names */
	PLAN_SUBQUERIES,			/* ints, indexes in fdw_exprs of those that need subqueries which run once */
	PLAN_AHEAD					/* Integer: values that a nested loop may ask for ahead; 0: none */
};

/* Where in one of PLAN_QUALS the indexes begin. */
#define PLANNED_QUAL_VALUES 3

extern List *sort_keys(PlannerInfo *root, RelOptInfo *rel);
extern PyObject *sort_to_python(Oid relid, List *keys);

/* ---- column_statistics.c ---- */

extern void install_statistics_hook(void);

/* ---- writable.c ---- */

extern void check_writable(Oid relid, Oid user, CmdType command);

/* ---- settings.c ---- */

extern void define_settings(void);
extern bool setting_is_on(const char *name, bool *known);

/* ---- scan.c, parameters.c and explain.c ---- */

typedef struct HostScan
{
	Holder	   *holder;
	Oid			relid;
	List	   *quals;			/* of PLAN_QUALS */
	List	   *sort;
	List	   *columns;
	List	   *named;			/* PLAN_NAMED */
	List	   *of_subqueries;	/* PLAN_SUBQUERIES */
	int			limit_index;
	int			offset_index;
	int			fresh;			/* PLAN_FRESH */
	List	   *values;			/* ExprState of each of fdw_exprs */
	ScanValue  *computed;		/* each of fdw_exprs when the scan starts */
	bool		open;
	bool		finished;
	Py_ssize_t	batch_next;		/* the row of the batch that is converted next */

	/* rows converted and not yet handed out */
	MemoryContext rows_context;
	int			width;
	ColumnReader *readers;
	Datum	   *datums;
	bool	   *nulls;
	int			rows;
	int			row_next;
} HostScan;

extern void check_row(Relation relation, PyObject *row, int width);
extern void BeginForeignScan(ForeignScanState *node, int flags);
extern TupleTableSlot *IterateForeignScan(ForeignScanState *node);
extern void ReScanForeignScan(ForeignScanState *node);
extern void EndForeignScan(ForeignScanState *node);
extern void ExplainForeignScan(ForeignScanState *node, ExplainState *es);
extern void compute_values(ForeignScanState *node, bool explaining);
extern void read_plan(HostScan *scan, ForeignScan *plan, EState *estate);
extern PyObject *scan_quals(HostScan *scan);
extern PyObject *scan_limit(HostScan *scan);
extern void show_lines(PyObject *lines, ExplainState *es);

/* ---- ask_ahead_run.c, ask_ahead_plan.c, ask_ahead_outer.c and ask_ahead.c: nested loops that ask ahead ---- */

/* Whether all rows of a nested loop are read. */
typedef enum Stopping
{
	STOPS_NEVER,				/* they are */
	STOPS_EARLY,				/* a node above may stop before the last one */
	STOPS_WITH_RUN,				/* they are where all of the query's are */
	STOPS_WITH_RUN_AND_FAILS	/* the same; if not, an error could come of a row that is never reached */
} Stopping;

extern void install_executor_hooks(void);
extern bool reads_part(EState *estate);
extern bool may_ask_ahead(PlannedStmt *statement);
extern PlannedStmt *with_nodes_that_ask_ahead(PlannedStmt *statement);
extern bool may_read_ahead(PlannedStmt *statement, Plan *outer, bool may_stop);
extern bool can_fail(PlannedStmt *statement, Node *expression);
extern List *inputs(Plan *plan);
extern bool is_ours(ForeignScan *scan);
extern Plan *ask_ahead_node(Plan *outer, List *scans, List *expressions, Stopping stopping);
extern bool reads_all_first(Plan *plan);
extern const struct CustomScanMethods *ask_ahead_methods(void);
extern void register_ask_ahead(void);

/* ---- analyze.c ---- */

extern bool AnalyzeForeignTable(Relation relation, AcquireSampleRowsFunc *acquire, BlockNumber *pages);

/* ---- conflicts.c, modify_plan.c, modify.c, modify_rows.c, import.c ---- */

/* PostgreSQL's own name of the junk column with a row as it was. */
#define WHOLE_ROW "wholerow"

typedef struct HostModify
{
	Holder	   *holder;
	ModifyTableState *mtstate;
	TupleDesc	desc;			/* the table's: slots may have one without names */
	Bitmapset  *named;			/* columns that the statement names, as attnums */
	List	   *returned;		/* Integer attnums of the columns that RETURNING names; 0: the whole row */
	ColumnReader *readers;		/* of all columns, by attnum - 1 */
	List	   *identity;		/* Integer attnums of the columns of the old row that the table needs */
	AttrNumber *junk;			/* the junk attribute of each */
	AttrNumber	whole_row;		/* the junk attribute with the row as it was, if it is there */
	MemoryContext row_context;
} HostModify;

extern PyObject *values_to_send(HostModify *modify, ResultRelInfo *rinfo, TupleTableSlot *slot,
								bool inserting);
extern PyObject *old_row(HostModify *modify, TupleTableSlot *plan_slot);
extern void store_answer(HostModify *modify, TupleTableSlot *slot, PyObject *answer);
extern void store_old_row(HostModify *modify, TupleTableSlot *slot, TupleTableSlot *plan_slot);

extern void install_planner_hook(PlanForeignModify_function plan_modify);
NORETURN extern void refuse_on_conflict(void);
extern bool row_answered(ModifyTableState *mtstate, ResultRelInfo *rinfo, CmdType operation);
extern Oid modifying_user(ModifyTableState *mtstate, ResultRelInfo *rinfo);
extern List *identity_attnums(Relation relation, Oid user);
extern char *identity_name(Form_pg_attribute attribute);

extern Bitmapset *set_columns(PlannerInfo *root, Index rtindex, CmdType operation);
extern void AddForeignUpdateTargets(PlannerInfo *root, Index rtindex, RangeTblEntry *rte, Relation relation);
extern List *PlanForeignModify(PlannerInfo *root, ModifyTable *plan, Index rtindex, int subplan);
extern void BeginForeignModify(ModifyTableState *mtstate, ResultRelInfo *rinfo, List *private, int subplan,
							   int flags);
extern void BeginForeignInsert(ModifyTableState *mtstate, ResultRelInfo *rinfo);
extern TupleTableSlot *ExecForeignInsert(EState *estate, ResultRelInfo *rinfo, TupleTableSlot *slot,
										 TupleTableSlot *plan_slot);
extern TupleTableSlot *ExecForeignUpdate(EState *estate, ResultRelInfo *rinfo, TupleTableSlot *slot,
										 TupleTableSlot *plan_slot);
extern TupleTableSlot *ExecForeignDelete(EState *estate, ResultRelInfo *rinfo, TupleTableSlot *slot,
										 TupleTableSlot *plan_slot);
extern void EndForeignModify(EState *estate, ResultRelInfo *rinfo);
extern void ExecForeignTruncate(List *relations, DropBehavior behavior, bool restart_seqs);
extern int	IsForeignRelUpdatable(Relation relation);
extern void ExplainForeignModify(ModifyTableState *mtstate, ResultRelInfo *rinfo, List *private, int subplan,
								 ExplainState *es);

/* ---- transactions.c ---- */

extern void note_writing(void);

extern List *ImportStripeSchema(ImportForeignSchemaStmt *stmt, Oid serverid);

#endif
