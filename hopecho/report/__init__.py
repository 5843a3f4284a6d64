"""The summary of a campaign as JSON, its ledger of cost, and one self-contained page."""
