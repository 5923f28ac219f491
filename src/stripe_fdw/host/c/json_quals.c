/*
 * json_quals.c: conditions on a text inside a jsonb column: column ->> 'key' = value, and = ANY (values).
 *
 * Only PostgreSQL's own operators are recognised, and keys that are the same for the whole query: constants
 * and parameters.  The keys are the first of the qual's values, as one array of text.
 */
#include "host.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#define MAX_KEYS 8

/* The left side of a condition: column -> key ... -> key, or with ->> at the end. */
typedef struct JsonField
{
	Var		   *column;
	List	   *keys;			/* Expr of type text */
	bool		as_text;		/* ->> is the last operator */
} JsonField;

/* The arguments of a built-in "->" or "->>" of jsonb and text, or NIL. */
static List *
arguments_of(Expr *node, bool *as_text)
{
	OpExpr	   *expr = (OpExpr *) node;
	RegProcedure function;

	if (!IsA(expr, OpExpr) || expr->opno >= FirstNormalObjectId || list_length(expr->args) != 2)
		return NIL;
	function = get_opcode(expr->opno);
	*as_text = function == F_JSONB_OBJECT_FIELD_TEXT;
	return *as_text || function == F_JSONB_OBJECT_FIELD ? expr->args : NIL;
}

static bool
is_key(Expr *node)
{
	if (exprType((Node *) node) != TEXTOID)
		return false;
	if (IsA(node, Const))
		return !((Const *) node)->constisnull;
	return IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXTERN;
}

static bool
read_field(RelOptInfo *rel, Expr *node, JsonField *field)
{
	List	   *arguments;
	bool		as_text;

	field->keys = NIL;
	/* A cast to varchar without a length changes nothing. */
	while (IsA(node, RelabelType) && family_of(((RelabelType *) node)->resulttype) == FAMILY_TEXT)
		node = ((RelabelType *) node)->arg;
	arguments = arguments_of(node, &field->as_text);
	while (arguments != NIL)
	{
		Expr	   *key = lsecond(arguments);

		if (!is_key(key) || list_length(field->keys) == MAX_KEYS)
			return false;
		field->keys = lcons(key, field->keys);
		node = linitial(arguments);
		arguments = arguments_of(node, &as_text);
		if (arguments != NIL && as_text)
			return false;
	}
	field->column = column_of(rel, node);
	return field->keys != NIL && field->column != NULL && getBaseType(field->column->vartype) == JSONBOID;
}

/* Return true if the expression is a text or value inside the table's jsonb column. */
bool
is_json_field(RelOptInfo *rel, Expr *node, AttrNumber attnum)
{
	JsonField	field;

	return read_field(rel, node, &field) && field.column->varattno == attnum;
}

static HostQual *
json_qual(QualKind kind, JsonField *field, const char *operator, Expr *value)
{
	ArrayExpr  *keys = makeNode(ArrayExpr);

	keys->array_typeid = TEXTARRAYOID;
	keys->element_typeid = TEXTOID;
	keys->elements = field->keys;
	keys->location = -1;
	return make_qual(kind, field->column->varattno, operator, list_make2(keys, value));
}

/* column ->> key = value, or column -> key = value of type jsonb; either way round.  NULL if it is neither. */
HostQual *
json_qual_of_operator(PlannerInfo *root, RelOptInfo *rel, OpExpr *expr)
{
	JsonField	field;
	Expr	   *value;
	char	   *name;

	if (list_length(expr->args) != 2 || expr->opno >= FirstNormalObjectId)
		return NULL;
	name = get_opname(expr->opno);
	if (name == NULL || strcmp(name, "=") != 0)
		return NULL;
	value = lsecond(expr->args);
	if (!read_field(rel, linitial(expr->args), &field))
	{
		value = linitial(expr->args);
		if (!read_field(rel, lsecond(expr->args), &field))
			return NULL;
	}
	if (!is_fixed(root, rel, value))
		return NULL;
	if (field.as_text)
		value = collation_agrees(FAMILY_TEXT, name, expr->inputcollid) ? comparable(FAMILY_TEXT, value) : NULL;
	else if (getBaseType(exprType((Node *) value)) != JSONBOID)
		value = NULL;
	return value ? json_qual(QUAL_JSON_VALUE, &field, name, value) : NULL;
}

/* column ->> key = ANY (array), or NULL. */
HostQual *
json_qual_of_array(PlannerInfo *root, RelOptInfo *rel, ScalarArrayOpExpr *expr)
{
	Expr	   *array = lsecond(expr->args);
	JsonField	field;
	char	   *name;
	Oid			element;

	if (!expr->useOr || expr->opno >= FirstNormalObjectId || !read_field(rel, linitial(expr->args), &field) ||
		!field.as_text || !is_fixed(root, rel, array))
		return NULL;
	name = get_opname(expr->opno);
	element = get_element_type(getBaseType(exprType((Node *) array)));
	if (name == NULL || strcmp(name, "=") != 0 || !OidIsValid(element) || family_of(element) != FAMILY_TEXT ||
		!collation_agrees(FAMILY_TEXT, name, expr->inputcollid))
		return NULL;
	return json_qual(QUAL_JSON_ARRAY, &field, "= any", array);
}

/* Return true if the qual compares texts: jsonb null is no NULL, so that values of jsonb make no list. */
bool
compares_texts(HostQual *qual)
{
	Oid			type = getBaseType(exprType(lsecond(qual->values)));

	return qual->kind == QUAL_JSON_ARRAY || family_of(type) == FAMILY_TEXT;
}

/*
 * The keys as a tuple of str; owned.  NULL if one of them is no text in Unicode.  "null" is set if one of them
 * is NULL: then the condition is true of no row.
 */
PyObject *
json_path(ScanValue *keys, bool *null)
{
	PyObject   *path;

	*null = false;
	if (keys->placeholder != NULL)
		return own_reference(PyTuple_Pack(1, own_reference(text_to_python(keys->placeholder))));
	path = array_to_python(keys->datum, TEXTOID);
	if (path != NULL && PySequence_Contains(path, Py_None) == 1)
	{
		*null = true;
		return own_reference(PyTuple_New(0));
	}
	return path;
}
