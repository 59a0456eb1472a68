"""Synthetic receipts, invoices and bank statements with exact ground truth."""
