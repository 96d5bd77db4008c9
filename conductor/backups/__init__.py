"""Backups of the platform: database, repositories, slugs, sources, logs and the files of storages as one stream, made while everything runs.

What a backup holds is as of one moment, that of the snapshot of the database:

- Archives (slugs, sources) are on the disk before a row names them, and go after the row has said so. So they are held
  by links *before* the snapshot, and what has come meanwhile *after* it: whatever the snapshot names is among both.
- A branch moves only once its release has succeeded, so a repository may never be ahead of the database. Repositories are
  bundled before the snapshot; one that has changed when the snapshot is there is bundled again, and the newer
  bundle counts if the snapshot knows the builds of its branches.
- Logs come late: lines that are too new do no harm.
- Files of storages come last, each as it was when it was read: apps go on writing.

Keys are never in it, nor what is made anew: build caches, unpacked slugs, certificates of the local authority.
"""
