"""Compatibility with current versions of the software below MMPose-DA.

Importing a module of this package has no side effects; :mod:`mmpose_da` calls its
functions. Nothing is imported here, because the version gate in :mod:`.versions` has to
run before the packages that the other modules import.
"""
