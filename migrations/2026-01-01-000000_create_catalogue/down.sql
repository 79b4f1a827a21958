DROP TABLE objects;
DROP TABLE constellations;
