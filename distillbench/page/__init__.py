"""Results as a page: one file that opens in any browser, without a network.

Python decides everything that the page says: rows, names, intervals, marks, differences, notes.
The browser filters, sorts and draws. `content` makes what is said of stored results, `site` the
file, `server` the same page that follows a folder of results while runs go on.
"""
