/*
 * quals.c: which conditions of a query the wrapper is told of, and as what.
 *
 * A condition that is not recognised is left to PostgreSQL, which checks all of them on every row anyway.  So the
 * rule is: in doubt, leave it.  What is told must mean to Python exactly what it means in SQL.
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
#include "utils/lsyscache.h"
#include "utils/pg_locale.h"

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
static Var *
column_of(RelOptInfo *rel, Expr *node)
{
	Var		   *var = (Var *) bare(node);

	if (!IsA(var, Var) || !bms_is_member(var->varno, rel->relids) || var->varlevelsup != 0 || var->varattno < 1)
		return NULL;
	return family_of(getBaseType(var->vartype)) == FAMILY_NONE ? NULL : var;
}

/* Whether an expression has one value for the whole scan, which can be computed when the scan starts. */
static bool
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
static bool
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

/* The value's expression with a type of the column's family, or NULL. */
static Expr *
comparable(ValueFamily column, Expr *value)
{
	Oid			type = getBaseType(exprType((Node *) value));
	ValueFamily family = family_of(type);

	if (family == column || (column == FAMILY_JSONB && family == FAMILY_TEXT))
		return value;
	if (column == FAMILY_TEXT && type == NAMEOID)
		return (Expr *) coerce_to_target_type(NULL, (Node *) value, type, TEXTOID, -1, COERCION_IMPLICIT,
											  COERCE_IMPLICIT_CAST, -1);
	/* As the operators for these pairs do it: midnight or local time of the session's time zone. */
	if (column == FAMILY_TIMESTAMPTZ && (type == DATEOID || type == TIMESTAMPOID))
		return (Expr *) coerce_to_target_type(NULL, (Node *) value, type, TIMESTAMPTZOID, -1, COERCION_IMPLICIT,
											  COERCE_IMPLICIT_CAST, -1);
	return NULL;
}

static HostQual *
make_qual(QualKind kind, AttrNumber attnum, const char *operator, Expr *value)
{
	HostQual   *qual = palloc0(sizeof(HostQual));

	qual->kind = kind;
	qual->attnum = attnum;
	qual->operator = pstrdup(operator);
	qual->value = value;
	return qual;
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
			return NULL;
	}
	/* Only PostgreSQL's own operators are known to mean what their names say. */
	if (!OidIsValid(operator) || operator >= FirstNormalObjectId)
		return NULL;
	name = get_opname(operator);
	family = family_of(getBaseType(column->vartype));
	value = name ? comparable(family, value) : NULL;
	if (value == NULL || !collation_agrees(family, name, expr->inputcollid))
		return NULL;
	return make_qual(QUAL_VALUE, column->varattno, name, value);
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

	if (column == NULL || expr->opno >= FirstNormalObjectId || !is_fixed(root, rel, array))
		return NULL;
	name = get_opname(expr->opno);
	if (name == NULL || strcmp(name, expr->useOr ? "=" : "<>") != 0)
		return NULL;
	element = get_element_type(getBaseType(exprType((Node *) array)));
	family = family_of(getBaseType(column->vartype));
	if (!OidIsValid(element) || family_of(element) != family ||
		!collation_agrees(family, name, expr->inputcollid))
		return NULL;
	return make_qual(QUAL_ARRAY, column->varattno, expr->useOr ? "= any" : "<> all", array);
}

static HostQual *
of_null_test(RelOptInfo *rel, Expr *argument, bool is_null)
{
	Var		   *column = (Var *) argument;

	/* Any type can be NULL, so this needs no family. */
	if (!IsA(column, Var) || !bms_is_member(column->varno, rel->relids) || column->varattno < 1 ||
		column->varlevelsup != 0 || type_is_rowtype(column->vartype))
		return NULL;
	return make_qual(QUAL_NULL, column->varattno, is_null ? "is null" : "is not null", NULL);
}

static HostQual *
of_boolean(RelOptInfo *rel, Expr *argument, bool value)
{
	Var		   *column = column_of(rel, argument);

	if (column == NULL || family_of(getBaseType(column->vartype)) != FAMILY_BOOLEAN)
		return NULL;
	return make_qual(value ? QUAL_TRUE : QUAL_FALSE, column->varattno, "=", NULL);
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
			return of_null_test(rel, ((NullTest *) clause)->arg, ((NullTest *) clause)->nulltesttype == IS_NULL);
		case T_BooleanTest:
			return of_boolean_test(rel, (BooleanTest *) clause);
		case T_Var:
		case T_RelabelType:
			return of_boolean(rel, clause, true);
		case T_BoolExpr:
			if (((BoolExpr *) clause)->boolop == NOT_EXPR)
				return of_boolean(rel, linitial(((BoolExpr *) clause)->args), false);
			return NULL;
		default:
			return NULL;
	}
}

/*
 * A qual's value for Python; owned.  "usable" is false for what Python's types cannot hold: without the qual
 * the wrapper returns more, and PostgreSQL checks.
 */
PyObject *
qual_value(QualKind kind, const char *operator, Datum value, bool isnull, Oid type, bool *usable)
{
	PyObject   *result;

	*usable = true;
	if (kind == QUAL_TRUE || kind == QUAL_FALSE)
		return kind == QUAL_TRUE ? Py_True : Py_False;
	if (kind == QUAL_NULL)
		return Py_None;
	/* A comparison with NULL matches nothing; only "=" is worth telling. */
	if (isnull && kind == QUAL_VALUE && strcmp(operator, "=") == 0)
		return Py_None;
	if (isnull)
	{
		*usable = false;
		return NULL;
	}
	type = getBaseType(type);
	result = kind == QUAL_ARRAY ? array_to_python(value, get_element_type(type)) : datum_to_python(value, type);
	*usable = result != NULL;
	return result;
}

PyObject *
qual_to_python(const char *column, const char *operator, PyObject *value)
{
	PyObject   *name = own(text_to_python(column));

	return own(Py_BuildValue("(OsO)", name, operator, value));
}

/* The quals as far as they are known while planning; others have an Unknown as their value.  Owned. */
PyObject *
planned_quals(PlannerInfo *root, Oid relid, List *quals)
{
	PyObject   *list = own(PyList_New(0));
	ListCell   *cell;

	foreach(cell, quals)
	{
		HostQual   *qual = lfirst(cell);
		char	   *name = get_attname(relid, qual->attnum, false);
		bool		usable = true;
		PyObject   *value;

		if (qual->value == NULL)
			value = qual_value(qual->kind, qual->operator, (Datum) 0, true, InvalidOid, &usable);
		else
		{
			Node	   *estimate = estimate_expression_value(root, (Node *) qual->value);

			if (IsA(estimate, Const))
			{
				Const	   *known = (Const *) estimate;

				value = qual_value(qual->kind, qual->operator, known->constvalue, known->constisnull,
								   known->consttype, &usable);
			}
			else
				value = bridge_call("unknown", Py_BuildValue("(s)", "?"));
		}
		if (usable && PyList_Append(list, qual_to_python(name, qual->operator, value)) != 0)
			throw_python_error();
	}
	return list;
}
