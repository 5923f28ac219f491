"""Products, prices, plans, coupons, promotion codes, tax rates."""
