/*
 * quals.c: conditions of a query that are passed to the table, and their form.
 *
 * A condition that is not recognised is left to PostgreSQL, which checks all of them on every row anyway.  So
 * the rule is: in doubt, leave it to PostgreSQL.  A qual must mean in Python exactly what it means in SQL.
 */
#include "host.h"

#include "access/transam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "utils/array.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/pg_locale.h"
#include "utils/timestamp.h"

#define ANY "= any"

static bool
collation_is_c(Oid collation)
{
	if (collation == C_COLLATION_OID)
		return true;
#if PG_VERSION_NUM >= 180000
	return OidIsValid(collation) && pg_newlocale_from_collation(collation)->collate_is_c;
#else
	return OidIsValid(collation) && lc_collate_is_c(collation);
#endif
}

/* Without casts that change nothing: varchar as text, a domain as its base type. */
static Expr *
bare(Expr *node)
{
	while (IsA(node, RelabelType))
	{
		Expr	   *inner = ((RelabelType *) node)->arg;

		if (family_of(getBaseType(exprType((Node *) inner))) != family_of(exprType((Node *) node)))
			break;
		node = inner;
	}
	return node;
}

/* The table's own column, or NULL. */
Var *
column_of(RelOptInfo *rel, Expr *node)
{
	Var		   *var = (Var *) bare(node);

	if (!IsA(var, Var) || !bms_is_member(var->varno, rel->relids) ||
		var->varlevelsup != 0 || var->varattno < 1)
		return NULL;
	return family_of(getBaseType(var->vartype)) == FAMILY_NONE ? NULL : var;
}

/*
 * Return true if an expression has one value for the whole scan, which can be computed when the scan starts.
 */
bool
is_fixed(PlannerInfo *root, RelOptInfo *rel, Expr *node)
{
	Relids		used;
	bool		own_columns;

	used = pull_varnos(root, (Node *) node);
	own_columns = bms_overlap(used, rel->relids);
	bms_free(used);
	return !own_columns && !contain_volatile_functions((Node *) node) && !contain_subplans((Node *) node);
}

/* Text compares alike if equal means equal bytes, and orders alike if the order is that of the bytes. */
bool
collation_agrees(ValueFamily family, const char *operator, Oid collation)
{
	if (family != FAMILY_TEXT || !OidIsValid(collation))
		return true;
	if (operator[0] == '<' && strcmp(operator, "<>") != 0)
		return collation_is_c(collation);
	if (operator[0] == '>')
		return collation_is_c(collation);
	return get_collation_isdeterministic(collation);
}

/* The value's expression, of a type that value_to_python() compares with the column's family; or NULL. */
Expr *
comparable(ValueFamily column, Expr *value)
{
	Oid			type = getBaseType(exprType((Node *) value));
	ValueFamily family = family_of(type);

	if (family == column || (column == FAMILY_JSONB && family == FAMILY_TEXT))
		return value;
	if (column == FAMILY_TEXT && type == NAMEOID)
		return (Expr *) coerce_to_target_type(NULL, (Node *) value, type, TEXTOID, -1, COERCION_IMPLICIT,
											  COERCE_IMPLICIT_CAST, -1);
	/* Not coerced here: a date may lie outside the range of timestamptz, where the cast is an error. */
	if (column == FAMILY_TIMESTAMPTZ && (type == DATEOID || type == TIMESTAMPOID))
		return value;
	return NULL;
}

HostQual *
make_qual(QualKind kind, AttrNumber attnum, const char *operator, List *values)
{
	HostQual   *qual = palloc0(sizeof(HostQual));

	qual->kind = kind;
	qual->attnum = attnum;
	qual->operator = pstrdup(operator);
	qual->values = values;
	return qual;
}

static bool
is_inside_json(HostQual *qual)
{
	return qual->kind == QUAL_JSON_VALUE || qual->kind == QUAL_JSON_ARRAY;
}

/* column operator value, either way round. */
static HostQual *
of_operator(PlannerInfo *root, RelOptInfo *rel, OpExpr *expr)
{
	Oid			operator = expr->opno;
	Var		   *column;
	Expr	   *value;
	char	   *name;
	ValueFamily family;

	if (list_length(expr->args) != 2)
		return NULL;
	column = column_of(rel, linitial(expr->args));
	value = lsecond(expr->args);
	if (column == NULL || !is_fixed(root, rel, value))
	{
		column = column_of(rel, lsecond(expr->args));
		value = linitial(expr->args);
		operator = get_commutator(operator);
		if (column == NULL || !is_fixed(root, rel, value))
			return json_qual_of_operator(root, rel, expr);
	}
	/* Only PostgreSQL's own operators are known to mean what their names say. */
	if (!OidIsValid(operator) || operator >= FirstNormalObjectId)
		return NULL;
	name = get_opname(operator);
	family = family_of(getBaseType(column->vartype));
	value = name ? comparable(family, value) : NULL;
	if (value == NULL || !collation_agrees(family, name, expr->inputcollid))
		return NULL;
	return make_qual(QUAL_VALUE, column->varattno, name, list_make1(value));
}

/* column = ANY (array) and column <> ALL (array). */
static HostQual *
of_array_operator(PlannerInfo *root, RelOptInfo *rel, ScalarArrayOpExpr *expr)
{
	Var		   *column = column_of(rel, linitial(expr->args));
	Expr	   *array = lsecond(expr->args);
	char	   *name;
	Oid			element;
	ValueFamily family;

	if (column == NULL)
		return json_qual_of_array(root, rel, expr);
	if (expr->opno >= FirstNormalObjectId || !is_fixed(root, rel, array))
		return NULL;
	name = get_opname(expr->opno);
	if (name == NULL || strcmp(name, expr->useOr ? "=" : "<>") != 0)
		return NULL;
	element = get_element_type(getBaseType(exprType((Node *) array)));
	family = family_of(getBaseType(column->vartype));
	if (!OidIsValid(element) || family_of(element) != family ||
		!collation_agrees(family, name, expr->inputcollid))
		return NULL;
	return make_qual(QUAL_ARRAY, column->varattno, expr->useOr ? ANY : "<> all", list_make1(array));
}

static HostQual *
of_null_test(RelOptInfo *rel, Expr *argument, bool is_null)
{
	Var		   *column = (Var *) argument;

	/* Any type can be NULL, so this needs no family. */
	if (!IsA(column, Var) || !bms_is_member(column->varno, rel->relids) || column->varattno < 1 ||
		column->varlevelsup != 0 || type_is_rowtype(column->vartype))
		return NULL;
	return make_qual(QUAL_NULL, column->varattno, is_null ? "is null" : "is not null", NIL);
}

static HostQual *
of_boolean(RelOptInfo *rel, Expr *argument, bool value)
{
	Var		   *column = column_of(rel, argument);

	if (column == NULL || family_of(getBaseType(column->vartype)) != FAMILY_BOOLEAN)
		return NULL;
	return make_qual(value ? QUAL_TRUE : QUAL_FALSE, column->varattno, "=", NIL);
}

static HostQual *
of_boolean_test(RelOptInfo *rel, BooleanTest *test)
{
	switch (test->booltesttype)
	{
		case IS_TRUE:
			return of_boolean(rel, test->arg, true);
		case IS_FALSE:
			return of_boolean(rel, test->arg, false);
		case IS_UNKNOWN:
			return of_null_test(rel, test->arg, true);
		case IS_NOT_UNKNOWN:
			return of_null_test(rel, test->arg, false);
		default:
			return NULL;		/* IS NOT TRUE is false or NULL: not one condition */
	}
}

/*
 * column = value OR column = value OR column = ANY (array), as mappers of objects write it: one = ANY.  If an
 * arm is anything else, or of another column, the whole is left.
 */
static HostQual *
of_alternatives(PlannerInfo *root, RelOptInfo *rel, List *arms)
{
	AttrNumber	attnum = 0;
	List	   *keys = NIL;		/* of what is compared inside a jsonb column: an array of them */
	List	   *values = NIL;
	ListCell   *cell;

	foreach(cell, arms)
	{
		Expr	   *arm = lfirst(cell);
		HostQual   *qual = NULL;
		List	   *arm_keys = NIL;

		if (IsA(arm, OpExpr) || IsA(arm, ScalarArrayOpExpr) || is_orclause(arm))
			qual = qual_of_clause(root, rel, arm);
		if (qual == NULL || (strcmp(qual->operator, "=") != 0 && strcmp(qual->operator, ANY) != 0) ||
			(attnum != 0 && qual->attnum != attnum))
			return NULL;
		if (is_inside_json(qual))
		{
			if (!compares_texts(qual))
				return NULL;
			arm_keys = list_make1(linitial(qual->values));
			qual->values = list_copy_tail(qual->values, 1);
		}
		if (attnum != 0 && !equal(arm_keys, keys))
			return NULL;
		attnum = qual->attnum;
		keys = arm_keys;
		values = list_concat(values, qual->values);
	}
	return make_qual(keys ? QUAL_JSON_ARRAY : QUAL_ARRAY, attnum, ANY, list_concat(keys, values));
}

/* The qual that a clause of WHERE or JOIN is for this table, or NULL. */
HostQual *
qual_of_clause(PlannerInfo *root, RelOptInfo *rel, Expr *clause)
{
	switch (nodeTag(clause))
	{
		case T_OpExpr:
			return of_operator(root, rel, (OpExpr *) clause);
		case T_ScalarArrayOpExpr:
			return of_array_operator(root, rel, (ScalarArrayOpExpr *) clause);
		case T_NullTest:
			return of_null_test(rel, ((NullTest *) clause)->arg,
								((NullTest *) clause)->nulltesttype == IS_NULL);
		case T_BooleanTest:
			return of_boolean_test(rel, (BooleanTest *) clause);
		case T_Var:
		case T_RelabelType:
			return of_boolean(rel, clause, true);
		case T_BoolExpr:
			if (((BoolExpr *) clause)->boolop == NOT_EXPR)
				return of_boolean(rel, linitial(((BoolExpr *) clause)->args), false);
			if (((BoolExpr *) clause)->boolop == OR_EXPR)
				return of_alternatives(root, rel, ((BoolExpr *) clause)->args);
			return NULL;
		default:
			return NULL;
	}
}

/*
 * A single value as one of the column's family, as the operators for the two types compare them: a date is
 * midnight, a timestamp local time, of the session's time zone.  NULL if it cannot be had.
 */
static PyObject *
value_to_python(ValueFamily column, ScanValue *value)
{
	Oid			type = getBaseType(value->type);
	TimestampTz time;
	int			overflow = 0;

	if (column != FAMILY_TIMESTAMPTZ || (type != DATEOID && type != TIMESTAMPOID))
		return datum_to_python(value->datum, type);
	time = type == DATEOID ? date2timestamptz_opt_overflow(DatumGetDateADT(value->datum), &overflow) :
		timestamp2timestamptz_opt_overflow(DatumGetTimestamp(value->datum), &overflow);
	return overflow != 0 ? NULL : datum_to_python(TimestampTzGetDatum(time), TIMESTAMPTZOID);
}

/*
 * The values of "= ANY" and "<> ALL" as a tuple; owned.  NULL if one of them cannot be had.  Beside other
 * arrays, NULL instead of an array adds nothing.
 */
static PyObject *
alternatives(ValueFamily column, ScanValue *values, int count)
{
	PyObject   *all;
	int			known = 0;
	int			i;

	if (count == 1)
		return array_to_python(values[0].datum, get_element_type(getBaseType(values[0].type)));
	all = own_reference(PyList_New(0));
	for (i = 0; i < count; i++)
	{
		Oid			type = getBaseType(values[i].type);
		Oid			element = get_element_type(type);
		PyObject   *item;

		if (values[i].isnull)
			continue;
		item = OidIsValid(element) ? array_to_python(values[i].datum, element) :
			value_to_python(column, &values[i]);
		if (item == NULL)
			return NULL;
		if (PyList_SetSlice(all, known, known,
							OidIsValid(element) ? item : own_reference(PyTuple_Pack(1, item))) != 0)
			throw_python_error();
		known = (int) PyList_GET_SIZE(all);
	}
	return own_reference(PyList_AsTuple(all));
}

/*
 * A qual's value for Python; owned.  NULL for what Python's types cannot hold: without the qual the table
 * returns more, and PostgreSQL checks.
 */
static PyObject *
qual_value(ValueFamily column, QualKind kind, ScanValue *values, int count)
{
	int			i;

	switch (kind)
	{
		case QUAL_TRUE:
			return Py_True;
		case QUAL_FALSE:
			return Py_False;
		case QUAL_NULL:
			return Py_None;
		default:
			break;
	}
	for (i = 0; i < count; i++)
		if (values[i].placeholder != NULL)
			return bridge_call("unknown", Py_BuildValue("(s)", count == 1 ? values[i].placeholder :
														psprintf("%s, ...", values[i].placeholder)));
	if (kind == QUAL_ARRAY)
		return alternatives(column, values, count);
	return value_to_python(column, &values[0]);
}

/* Append a qual on what is inside a jsonb column, (column, operator, value, keys), if its values can be had. */
static void
add_json_qual(PyObject *quals, char *column, const char *operator, QualKind kind, ScanValue *values, int count)
{
	PyObject   *value;
	PyObject   *path;
	PyObject   *qual;
	bool		null;

	path = json_path(&values[0], &null);
	if (path == NULL)
		return;
	null = null || (count == 2 && values[1].placeholder == NULL && values[1].isnull);
	value = null ? Py_None :
		qual_value(FAMILY_TEXT, kind == QUAL_JSON_ARRAY ? QUAL_ARRAY : QUAL_VALUE, values + 1, count - 1);
	/* jsonb has values that are no text, and its null is a value. */
	if (value == NULL || (!null && values[1].placeholder == NULL &&
						  getBaseType(values[1].type) == JSONBOID && !PyUnicode_Check(value)))
		return;
	qual = own_reference(Py_BuildValue("(OsOO)", own_reference(text_to_python(column)), null ? "=" : operator,
									   value, path));
	if (PyList_Append(quals, qual) != 0)
		throw_python_error();
}

/* Append (column, operator, value) to a list, if there is such a value. */
void
add_qual(PyObject *quals, Oid relid, AttrNumber attnum, const char *operator, QualKind kind,
		 ScanValue *values, int count)
{
	char	   *column = get_attname(relid, attnum, false);
	ValueFamily family = family_of(getBaseType(get_atttype(relid, attnum)));
	PyObject   *value;
	PyObject   *qual;

	if (kind == QUAL_JSON_VALUE || kind == QUAL_JSON_ARRAY)
	{
		add_json_qual(quals, column, operator, kind, values, count);
		return;
	}

	/*
	 * Every operator that is passed is strict: with NULL, or NULL instead of an array, the qual is true of no
	 * row.  That is passed as "= NULL" for every operator.
	 */
	if ((kind == QUAL_VALUE || kind == QUAL_ARRAY) && count == 1 &&
		values[0].placeholder == NULL && values[0].isnull)
	{
		operator = "=";
		value = Py_None;
	}
	else
		value = qual_value(family, kind, values, count);
	if (value == NULL)
		return;
	qual = own_reference(Py_BuildValue("(OsO)", own_reference(text_to_python(column)), operator, value));
	if (PyList_Append(quals, qual) != 0)
		throw_python_error();
}

/*
 * Compute the values of quals as far as they are known while planning.  It is done before Python is entered:
 * this calls the functions of users, which take their time.
 */
void
estimate_values(PlannerInfo *root, List *quals)
{
	ListCell   *cell;

	foreach(cell, quals)
	{
		HostQual   *qual = lfirst(cell);
		ListCell   *item;
		int			count = 0;

		qual->estimates = palloc0(sizeof(ScanValue) * Max(list_length(qual->values), 1));
		foreach(item, qual->values)
		{
			ScanValue  *value = &qual->estimates[count++];
			Node	   *estimate = estimate_expression_value(root, lfirst(item));

			value->type = exprType(estimate);
			if (IsA(estimate, Const))
			{
				value->datum = ((Const *) estimate)->constvalue;
				value->isnull = ((Const *) estimate)->constisnull;
			}
			else
				value->placeholder = "?";
		}
	}
}

/*
 * The quals with the values that estimate_values() has computed; others have an Unknown as their value.
 * Owned.
 */
PyObject *
estimated_quals(Oid relid, List *quals)
{
	PyObject   *list = own_reference(PyList_New(0));
	ListCell   *cell;

	foreach(cell, quals)
	{
		HostQual   *qual = lfirst(cell);

		add_qual(list, relid, qual->attnum, qual->operator, qual->kind, qual->estimates,
				 list_length(qual->values));
	}
	return list;
}
