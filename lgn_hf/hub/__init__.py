"""To the Hub: folders that are published, their cards, the atlas, the data set of actions, and the upload."""
